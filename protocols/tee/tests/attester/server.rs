//! A service on loopback that answers what a test tells it to, and remembers what it was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One answer.
#[derive(Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Before the first byte.
    pub(crate) delay: Duration,
    /// Between the body's bytes.
    pub(crate) dribble: Duration,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            body: body.into(),
            ..Self::default()
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

type Routes = Box<dyn FnMut(&str, usize) -> Reply + Send>;

/// Runs until the process ends.
pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
    routes: Arc<Mutex<Routes>>,
}

impl Server {
    /// `routes` is given a path and how many requests there were before.
    pub(crate) fn start(routes: impl FnMut(&str, usize) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Self {
            url,
            asked: Arc::default(),
            routes: Arc::new(Mutex::new(Box::new(routes))),
        };
        let (asked, routes) = (server.asked.clone(), server.routes.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, routes) = (asked.clone(), routes.clone());
                std::thread::spawn(move || {
                    // A client that has given up is no concern of ours.
                    let _ = serve(stream, &asked, &routes);
                });
            }
        });
        server
    }

    /// Answers otherwise from now on.
    pub(crate) fn become_other(&self, routes: impl FnMut(&str, usize) -> Reply + Send + 'static) {
        *self.routes.lock().expect("routes") = Box::new(routes);
    }

    /// What was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("paths"))
    }
}

fn serve(
    mut stream: TcpStream,
    asked: &Mutex<Vec<String>>,
    routes: &Mutex<Routes>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let before = {
        let mut asked = asked.lock().expect("paths");
        asked.push(path.clone());
        asked.len() - 1
    };
    let reply = routes.lock().expect("routes")(&path, before);
    std::thread::sleep(reply.delay);
    let length = reply.body.len();
    let mut head = format!(
        "HTTP/1.1 {} X\r\nContent-Length: {length}\r\n",
        reply.status
    );
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    if reply.dribble.is_zero() {
        return stream.write_all(&reply.body);
    }
    for byte in &reply.body {
        stream.write_all(&[*byte])?;
        std::thread::sleep(reply.dribble);
    }
    Ok(())
}
