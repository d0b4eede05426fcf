// Threads, children, panics caught, sockets in Rust.
use std::{env, fs, io::{Read, Write}, net, panic, process::Command, thread, time::{Duration, Instant}};
fn main() {
    let end = Instant::now() + Duration::from_secs(env::args().nth(1).unwrap().parse().unwrap());
    let mut bad = 0;
    panic::set_hook(Box::new(|_| {}));
    loop {
        let ts: Vec<_> = (0..8).map(|i| thread::spawn(move || {
            let caught = panic::catch_unwind(|| { if fs::read("/proc/self/stat").unwrap().len() > 1 { panic!("x") } }).is_err();
            let out = Command::new("sh").args(["-c", &format!("echo {}", i * i)]).output().unwrap();
            caught && String::from_utf8(out.stdout).unwrap().trim() == (i * i).to_string()
        })).collect();
        for t in ts { if !t.join().unwrap() { bad += 1 } }
        let l = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let a = l.local_addr().unwrap();
        let s = thread::spawn(move || { let (mut c, _) = l.accept().unwrap(); let mut b = [0; 3]; c.read_exact(&mut b).unwrap(); c.write_all(&b).unwrap(); });
        let mut c = net::TcpStream::connect(a).unwrap();
        c.write_all(b"abc").unwrap();
        let mut b = [0; 3]; c.read_exact(&mut b).unwrap();
        s.join().unwrap();
        if &b != b"abc" { bad += 1 }
        if Instant::now() > end { break }
    }
    println!("bad {}", bad);
}
