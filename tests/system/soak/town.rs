//! The services of the soak, and everyone who comes to them.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Api, App, Target, free_port};

use super::book::{Book, Chance};
use super::conductor::Conductor;
use super::plan::Plan;
use super::{clients, faulty, office, rough, strangers, streams};

/// Where to go, whom to ask for, and what that is called.
#[derive(Clone)]
pub struct Door {
    pub target: Target,
    pub host: String,
    pub kind: &'static str,
}

/// Services that are never allowed to fail; `busy` is always asked for, and `tagged` is one by its
/// labels.
pub const HEALTHY: [&str; 4] = ["busy", "naps", "dozes", "tagged"];
/// Of two people, who may have as many open each.
const DASHBOARDS: usize = 10;

pub struct Town {
    pub crashes: App,
    busy: App,
    naps: App,
    dozes: App,
    never: App,
    pub tagged: App,
    /// Its container does nothing: what answers at its port lives in this process.
    rough: App,
    rough_port: u16,
    away: Duration,
}

impl Town {
    pub fn build(plan: &Plan) -> Self {
        let crash = format!("{}ms", plan.crashes_after.as_millis());
        Self {
            busy: App::builder("busy").create(),
            naps: App::builder("naps").create(),
            dozes: App::builder("dozes").create(),
            crashes: App::builder("crashes").env("EXIT_AFTER", &crash).create(),
            never: App::builder("never").env("HEALTHY_AFTER", "600m").create(),
            tagged: App::builder("tagged")
                .label("wakedock.enable", "true")
                .label("wakedock.name", "tagged")
                .label("wakedock.host", "tagged.test")
                .label("wakedock.stop-after", "2s")
                .label("wakedock.stop-timeout", "1s")
                .create(),
            rough: App::builder("rough").network("host").env("PORT", &free_port().to_string()).create(),
            rough_port: rough::serve(),
            away: plan.away,
        }
    }

    pub fn services(&self) -> Vec<Value> {
        let service = |name: &str, app: &App, idle: Value| {
            json!({
                "name": name, "hosts": [format!("{name}.test")], "container": app.name(), "port": app.port(),
                "idle": idle,
            })
        };
        let sleepy = json!({ "stop_after": "2s", "stop_timeout": "1s" });
        let mut never = service("never", &self.never, sleepy.clone());
        never["readiness"] = json!({ "type": "http", "path": "/healthz" });
        never["wake_timeout"] = json!("3s");
        let mut rough = service("rough", &self.rough, sleepy.clone());
        rough["port"] = json!(self.rough_port);
        rough["readiness"] = json!({ "type": "none" });
        vec![
            service("busy", &self.busy, json!({ "stop_after": "1h" })),
            service("naps", &self.naps, sleepy.clone()),
            service("dozes", &self.dozes, json!({ "pause_after": "1s", "stop_after": "10s" })),
            service("crashes", &self.crashes, sleepy),
            never,
            rough,
        ]
    }

    /// Lets everyone in.
    pub fn open(&self, conductor: &Conductor, book: &Arc<Book>) -> Crew {
        let [tcp, unix] = conductor.doors();
        let door = |target: &Target, name: &str, kind| Door {
            target: target.clone(),
            host: format!("{name}.test"),
            kind,
        };
        let (busy, busy_unix) = (door(&tcp, "busy", "grpc"), door(&unix, "busy", "grpc"));
        let (long, brief) = (Duration::from_secs(180), Duration::from_secs(8));
        let mut crew = Crew { book: Arc::clone(book), threads: Vec::new() };
        for door in [&busy, &busy_unix] {
            crew.hire(door, clients::keep_alive);
            crew.hire(door, clients::keep_alive);
            crew.hire(door, clients::short);
            crew.hire(door, clients::http2);
            crew.hire(door, clients::slow_reader);
            crew.hire(door, clients::slow_writer);
            crew.hire(door, strangers::goer);
            crew.hire(door, move |book, door, chance| streams::websockets(book, door, chance, long));
        }
        crew.hire(&busy, clients::upload);
        crew.hire(&busy_unix, clients::download);
        crew.hire(&busy, clients::grpc);
        crew.hire(&busy, streams::events);
        crew.hire(&busy, move |book, door, chance| streams::upgrade(book, door, chance, long));
        crew.hire(&busy, strangers::malformers);
        crew.hire(&busy, strangers::stalled_head);
        let floods = conductor.plan().floods;
        crew.hire(&busy, move |book, door, chance| strangers::flood(book, door, chance, floods));
        crew.hire(&busy, faulty::among_others);
        let away = self.away;
        for (name, kind) in [
            ("naps", "visit to a stopped"),
            ("dozes", "visit to a paused"),
            ("tagged", "visit to a labelled"),
        ] {
            for target in [&tcp, &unix] {
                crew.hire(&door(target, name, kind), move |book, door, chance| {
                    clients::visitor(book, door, chance, away);
                });
            }
        }
        crew.hire(&door(&tcp, "naps", ""), move |book, door, chance| {
            while book.rest(away) {
                streams::websocket(book, door, chance, brief);
            }
        });
        crew.hire(&door(&unix, "dozes", "grpc from asleep"), clients::grpc);
        crew.hire(&door(&tcp, "crashes", ""), faulty::crashing);
        crew.hire(&door(&unix, "crashes", ""), faulty::crashing);
        crew.hire(&door(&tcp, "rough", ""), faulty::rough);
        crew.hire(&door(&unix, "rough", ""), faulty::rough);
        crew.hire(&door(&tcp, "never", ""), faulty::never_healthy);
        self.hire_office(&mut crew, conductor);
        crew
    }

    fn hire_office(&self, crew: &mut Crew, conductor: &Conductor) {
        let person = |name: &str, role| conductor.person(name, role);
        let look = ["looks", "looks too"].map(|name| person(name, "viewer"));
        for number in 0..DASHBOARDS {
            let api = look[number % look.len()].clone();
            crew.hire_for(move |book, chance| office::dashboard(book, &api, chance));
        }
        let reads = person("reads", "viewer");
        for service in ["busy", "crashes", "tagged"] {
            let api = reads.clone();
            crew.hire_for(move |book, chance| office::reader(book, &api, chance, service));
        }
        let (writes, keeps): (Api, Api) = (person("writes", "admin"), person("keeps", "admin"));
        crew.hire_for(move |book, chance| office::writer(book, &writes, chance));
        let every = conductor.plan().backups;
        crew.hire_for(move |book, _| office::keeper(book, &keeps, every));
    }
}

/// Everyone who asks for something.
pub struct Crew {
    book: Arc<Book>,
    threads: Vec<JoinHandle<()>>,
}

impl Crew {
    fn hire(&mut self, door: &Door, work: impl Fn(&Book, &Door, &mut Chance) + Send + 'static) {
        let door = door.clone();
        self.hire_for(move |book, chance| work(book, &door, chance));
    }

    fn hire_for(&mut self, work: impl Fn(&Book, &mut Chance) + Send + 'static) {
        let book = Arc::clone(&self.book);
        let mut chance = Chance::seeded(self.threads.len() as u64 + 1);
        self.threads.push(std::thread::spawn(move || work(&book, &mut chance)));
    }

    /// Waits until everyone has done what they are about.
    pub fn go_home(mut self) {
        self.book.close();
        for thread in self.threads.drain(..) {
            thread.join().expect("one of the clients");
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.book.close();
    }
}
