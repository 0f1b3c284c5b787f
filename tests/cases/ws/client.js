// Runs one check against the server behind a proxy: node client.js CHECK HOST URL. Exits 0 if it holds.
'use strict';
const assert = require('node:assert');
const { once } = require('node:events');
const WebSocket = require('ws');

const [check, host, url] = process.argv.slice(2);
const open = async (path = '/', options = {}) => {
  const socket = new WebSocket(url + path, { headers: { Host: host }, servername: host, rejectUnauthorized: false, maxPayload: 64 << 20, ...options });
  await once(socket, 'open');
  return socket;
};
const echoed = async (socket, message) => {
  socket.send(message);
  const [received, isBinary] = await once(socket, 'message');
  assert.strictEqual(isBinary, typeof message !== 'string');
  assert(Buffer.from(message).equals(received), `${received.length} bytes`);
};
const ended = async (socket) => {
  const [code, reason] = await once(socket, 'close');
  return [code, String(reason)];
};

const checks = {
  async sizes() {
    for (const perMessageDeflate of [false, true]) {
      const socket = await open('/', { perMessageDeflate });
      assert.strictEqual(socket.extensions, perMessageDeflate ? 'permessage-deflate' : '');
      for (const size of [0, 1, 125, 126, 65535, 65536, 1 << 20, ...(perMessageDeflate ? [] : [16 << 20])]) {
        await echoed(socket, Buffer.alloc(size, 'ab'));
        await echoed(socket, 'c'.repeat(size));
      }
      socket.close();
    }
  },
  async fragments() {
    const socket = await open();
    for (let index = 0; index < 1000; index++) socket.send('ab', { fin: index === 999 });
    const [received] = await once(socket, 'message');
    assert.strictEqual(String(received), 'ab'.repeat(1000));
    socket.close();
  },
  async pings() {
    const socket = await open('/ping');
    const [received] = await once(socket, 'message');
    assert.strictEqual(String(received), 'from the server');
    for (const payload of ['', 'from the client', 'x'.repeat(125)]) {
      socket.ping(payload);
      const [pong] = await once(socket, 'pong');
      assert.strictEqual(String(pong), payload);
    }
    socket.close();
  },
  async closes() {
    for (const code of [1000, 1001, 1011, 4999]) {
      assert.deepStrictEqual(await ended(await open(`/close/${code}`)), [code, 'by the server']);
      const socket = await open();
      socket.close(code, 'by the client');
      assert.strictEqual((await ended(socket))[0], code);
    }
    assert.deepStrictEqual(await ended(await open('/terminate')), [1006, '']);
  },
  async halfclose() {
    // The end of the server's direction arrives, without a close frame.
    assert.deepStrictEqual(await ended(await open('/end')), [1006, '']);
  },
  async idle() {
    // Some at a time, so that no handshake waits for all others.
    const sockets = [];
    while (sockets.length < 1000) sockets.push(...(await Promise.all(Array.from({ length: 50 }, () => open()))));
    for (const [index, socket] of sockets.entries()) await echoed(socket, `${index}`);
    for (const socket of sockets) socket.close();
    await Promise.all(sockets.map(ended));
  },
  async handshakes() {
    const refused = new WebSocket(url, { headers: { Host: host }, servername: host, rejectUnauthorized: false, protocolVersion: 8 });
    const [request, response] = await once(refused, 'unexpected-response');
    request.destroy();
    assert.strictEqual(response.statusCode, 426);
  },
};

checks[check]().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
