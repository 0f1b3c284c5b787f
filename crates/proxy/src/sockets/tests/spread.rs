//! Connections are spread over the workers.

use super::*;

#[tokio::test]
async fn few_connections_are_spread_evenly_whatever_the_kernel_does() {
    let mut world = World::start(2);
    let [address] = free_addresses();
    world.publish(&[http(address, &universe("a.example"))], &[]);
    let telemetry = world.running.telemetry().clone();
    for _ in 0..3 {
        let mut streams = Vec::new();
        for _ in 0..14 {
            let mut stream = connect(address).await;
            get(&mut stream).await.unwrap();
            streams.push(stream);
        }
        let workers = telemetry.read_server().workers;
        let open: Vec<u64> = workers.iter().map(|worker| worker.connections).collect();
        assert_eq!(open, [7, 7]);
        drop(streams);
        while telemetry.open_connections() > 0 {
            yield_now().await;
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn no_connection_is_lost_when_the_process_stops() {
    let mut world = World::start(2);
    let [address] = free_addresses();
    world.publish(&[http(address, &universe("a.example"))], &[]);
    let mut streams = vec![connect(address).await];
    // They have been accepted by the kernel, not yet by a worker, and may be handed over while the workers stop.
    let client = std::thread::spawn(move || -> Vec<_> {
        let connect = || std::net::TcpStream::connect(address).unwrap();
        (0..60).map(|_| connect()).collect()
    });
    streams.extend(client.join().unwrap().into_iter().map(|stream| {
        stream.set_nonblocking(true).unwrap();
        TcpStream::from_std(stream).unwrap()
    }));
    let stop = tokio::spawn(world.stop());
    for stream in &mut streams {
        get(stream).await.unwrap();
    }
    drop(streams);
    stop.await.unwrap();
}
