//! Log-in with OpenID Connect at a provider as its makers built it (`oidc-provider`), behind TLS as
//! people have it, through its own form, with curl for a browser.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Answer, Caddy, Process, Request, WakeDock, eventually, free_port, peer, shared};

const CLIENT: &str = "wakedock";
const SECRET: &str = "a secret with a space & more: %41";

/// The provider, and the Caddy in front of it that makes its certificate.
struct Provider {
    issuer: String,
    certificate: PathBuf,
    _caddy: Caddy,
    process: Process,
    _folder: TempDir,
}

impl Provider {
    fn start(redirect_uri: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("wakedock-provider-").tempdir().unwrap();
        let (port, caddy) = (free_port(), Caddy::start());
        let issuer = format!("https://localhost:{}", caddy.https_port());
        let script = peer("provider").join("serve.mjs");
        let mut command = Command::new("node");
        command.arg(script).args([&port.to_string(), &issuer, redirect_uri, CLIENT, SECRET]);
        let process = Process::start(&mut command, &folder.path().join("provider.log"), || ());
        eventually(Duration::from_secs(20), "the provider listens", || {
            process.output().contains("listening").then_some(())
        });
        caddy.load(&format!(
            "{{\n\tadmin {}\n\thttp_port {}\n\thttps_port {}\n\tskip_install_trust\n}}\n\
             https://localhost:{} {{\n\ttls internal\n\treverse_proxy 127.0.0.1:{port}\n}}\n",
            caddy.admin().tcp(),
            caddy.http().tcp().port(),
            caddy.https_port(),
            caddy.https_port(),
        ));
        let certificate = caddy.folder().join("caddy/pki/authorities/local/root.crt");
        eventually(Duration::from_secs(20), "Caddy makes its certificates", || {
            certificate.exists().then_some(())
        });
        Self { issuer, certificate, _caddy: caddy, process, _folder: folder }
    }

    /// `admin.oidc`, but for the secret.
    fn config(&self) -> Value {
        json!({
            "issuer": self.issuer,
            "client_id": CLIENT,
            "scopes": ["openid", "profile", "groups"],
            "roles": { "admin": ["admins"], "user": ["staff"] },
        })
    }
}

/// A browser: it follows, and keeps its cookies.
struct Browser<'a> {
    folder: TempDir,
    certificate: &'a Path,
}

/// Where it ended up, and what it sees there.
#[derive(Debug)]
struct Page {
    url: String,
    status: u16,
    text: String,
}

impl<'a> Browser<'a> {
    fn new(certificate: &'a Path) -> Self {
        let folder = tempfile::Builder::new().prefix("wakedock-browser-").tempdir().unwrap();
        Self { folder, certificate }
    }

    fn open(&self, url: &str, form: &[(&str, &str)]) -> Page {
        let jar = self.folder.path().join("cookies");
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--location", "--max-time", "30", "--noproxy", "*"]);
        command.arg("--cacert").arg(self.certificate);
        command.arg("--cookie").arg(&jar).arg("--cookie-jar").arg(&jar);
        command.args(["--write-out", "\n%{http_code} %{url_effective}"]);
        for (name, value) in form {
            command.arg("--data-urlencode").arg(format!("{name}={value}"));
        }
        let output = command.arg(url).output().expect("curl");
        assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        let (text, end) = said.rsplit_once('\n').unwrap();
        let (status, url) = end.split_once(' ').unwrap();
        Page { url: url.to_owned(), status: status.parse().unwrap(), text: text.to_owned() }
    }

    /// Logs out of WakeDock; where that leads next, and the whole way there and back.
    fn log_out(&self, wakedock: &str) -> Page {
        let me: Value = serde_json::from_str(&self.open(&format!("{wakedock}/api/v1/auth/me"), &[]).text)
            .expect("somebody is logged in");
        let head = self.folder.path().join("head");
        let jar = self.folder.path().join("cookies");
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "30", "--noproxy", "*", "--output", "/dev/null"])
            .arg("--cookie")
            .arg(&jar)
            .arg("--cookie-jar")
            .arg(&jar)
            .arg("--dump-header")
            .arg(&head)
            .args(["--data-urlencode", &format!("csrf={}", me["csrf_token"].as_str().expect("a browser"))])
            .arg(format!("{wakedock}/logout"))
            .output()
            .expect("curl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let head = std::fs::read_to_string(head).unwrap();
        let to = head.lines().find_map(|line| line.strip_prefix("refresh: 0; url="));
        let page = self.open(to.unwrap_or_else(|| panic!("it leads nowhere: {head}")), &[]);
        let (_, rest) = page.text.split_once("name=\"xsrf\" value=\"").unwrap_or_else(|| panic!("{page:?}"));
        let xsrf = rest.split('"').next().unwrap().to_owned();
        self.send(&page, &[("xsrf", &xsrf), ("logout", "yes")])
    }

    /// Sends the form of a page.
    fn send(&self, page: &Page, form: &[(&str, &str)]) -> Page {
        let (_, rest) = page.text.split_once("action=\"").unwrap_or_else(|| panic!("no form: {page:?}"));
        self.open(rest.split('"').next().unwrap(), form)
    }

    /// All the way from WakeDock to the provider and back.
    fn log_in(&self, wakedock: &str, name: &str) -> Page {
        let page = self.open(&format!("{wakedock}/oidc/login?next=/livez"), &[]);
        assert!(page.url.contains("/interaction/") && page.text.contains("name=\"login\""), "{page:?}");
        let page = self.send(&page, &[("prompt", "login"), ("login", name), ("password", "anything")]);
        assert!(page.text.contains("value=\"consent\""), "{page:?}");
        self.send(&page, &[("prompt", "consent")])
    }
}

/// Under a name that is WakeDock's own.
fn ask(dock: &WakeDock, path: &str) -> Answer {
    Request::get("localhost", path).send(&dock.admin()).expect("an answer")
}

#[test]
fn people_of_a_provider_log_in_by_its_own_form() {
    let _turn = shared();
    let admin = free_port();
    let wakedock = format!("http://127.0.0.1:{admin}");
    let mut provider = Provider::start(&format!("{wakedock}/oidc/callback"));
    let secrets = tempfile::tempdir().unwrap();
    let secret = secrets.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let (config, certificate) = (provider.config(), provider.certificate.clone());
    let start = |authorities: &Path| {
        WakeDock::builder()
            .set("admin.listen", format!("127.0.0.1:{admin}"))
            .set("admin.oidc", config.clone())
            .env("WAKEDOCK_ADMIN__OIDC__CLIENT_SECRET_FILE", &secret.display().to_string())
            .env("SSL_CERT_FILE", &authorities.display().to_string())
            .start()
    };

    // Whose certificate nobody here has signed is no provider.
    let dock = start(Path::new("/etc/ssl/certs/ca-certificates.crt"));
    let stranger = ask(&dock, "/oidc/login");
    assert_eq!(stranger.status(), 502, "{}", stranger.text());
    let log = dock.log();
    assert!(log.contains("invalid peer certificate: UnknownIssuer"), "{log}");
    drop(dock);

    let dock = start(&certificate);
    let ada = Browser::new(&certificate);
    let back =
        |page: Page| assert_eq!((page.status, page.url), (200, format!("{wakedock}/livez")), "{}", page.text);
    back(ada.log_in(&wakedock, "ada"));
    // What everybody may see who has a role, and what admins alone may.
    let sees = |browser: &Browser<'_>| {
        ["services", "users"].map(|what| browser.open(&format!("{wakedock}/api/v1/{what}"), &[]).status)
    };
    assert_eq!(sees(&ada), [200, 200]);
    // Once more: the provider knows her, and asks nothing.
    back(ada.open(&format!("{wakedock}/oidc/login?next=/livez"), &[]));

    let bob = Browser::new(&certificate);
    back(bob.log_in(&wakedock, "bob"));
    assert_eq!(sees(&bob), [200, 403]);
    let eve = Browser::new(&certificate);
    let refused = eve.log_in(&wakedock, "eve");
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.text.contains("oidc-no-role"), "{refused:?}");
    assert_eq!(sees(&eve), [401, 401]);

    // Logged out here and there: the provider asks again who it is.
    let out = ada.log_out(&wakedock);
    assert_eq!((out.status, out.url.as_str()), (200, format!("{wakedock}/login").as_str()), "{out:?}");
    assert_eq!(sees(&ada), [401, 401]);
    back(ada.log_in(&wakedock, "ada"));
    assert_eq!(sees(&ada), [200, 200]);

    // The address with the code, once more.
    let used = eve.open(&refused.url, &[]);
    assert_eq!((used.status, used.text.contains("oidc-stale")), (400, true), "{used:?}");

    // WakeDock goes on without the provider, and so does everybody who is logged in.
    provider.process.kill9();
    assert_eq!(sees(&ada), [200, 200]);
    let late = Browser::new(&certificate);
    let page = late.open(&format!("{wakedock}/oidc/callback?code=x&state=y"), &[]);
    assert_eq!(page.status, 400, "{page:?}");
    drop(dock);
    let dock = start(&certificate);
    assert_eq!(ask(&dock, "/oidc/login").status(), 502, "nothing is known of it any more");
    assert!(!dock.log().contains(SECRET));
    assert_eq!(dock.ask("/readyz").status(), 200);
}
