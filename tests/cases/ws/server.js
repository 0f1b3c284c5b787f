// Echoes messages as they are. The path of a connection says what else it does. Prints its port.
'use strict';
const { WebSocketServer } = require('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: 64 << 20, perMessageDeflate: true }, () => console.log(server.address().port));

server.on('connection', (socket, request) => {
  socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }));
  socket.on('error', () => {});
  if (request.url === '/ping') {
    socket.on('pong', (payload) => socket.send(payload));
    socket.ping('from the server');
  } else if (request.url.startsWith('/close/')) {
    socket.close(Number(request.url.slice('/close/'.length)), 'by the server');
  } else if (request.url === '/end') {
    // The server sends no more, but still reads.
    socket._socket.end();
  } else if (request.url === '/terminate') {
    socket.terminate();
  }
});
