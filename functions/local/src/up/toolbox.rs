//! This machine as the owner's first toolbox: made through the API like any other, then `dtma` as a child process.

use crate::{
    client::Client,
    home::{Config, Home, Process, read_json, write_json, write_private},
    trouble::{self, Trouble},
};
use protocol::{
    Timestamp,
    toolbox::{Toolbox, ToolboxCreate, ToolboxCreated},
};
use std::{
    fs,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

/// How long a daemon may take to end what it does.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a daemon may take until its gateway answers.
const START: Duration = Duration::from_secs(20);

/// An enrolled toolbox, ready to run.
pub struct Prepared {
    home: Home,
    program: PathBuf,
    listen: String,
    url: String,
}

/// The daemon, kept running.
pub struct Running {
    home: Home,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Enrols this machine unless it is enrolled and the control plane still knows it. `gateway`: `http://127.0.0.1:N`.
pub async fn prepare(home: &Home, config: &mut Config, gateway: &str) -> Result<Prepared, Trouble> {
    let program = home.program("dtma")?;
    let listen = gateway.trim_start_matches("http://").to_owned();
    let prepared = Prepared { home: home.clone(), program, listen, url: config.url() };
    let client = Client::to(home, &config.url()).await?;
    if let Some(id) = config.toolbox_id
        && enrolled(home)
        && client.find::<Toolbox>(&format!("/api/toolboxes/{id}")).await?.is_some()
    {
        return Ok(prepared);
    }
    let mut name = "this machine".to_owned();
    let toolboxes: Vec<Toolbox> = client.get("/api/toolboxes").await?;
    for number in 2.. {
        if toolboxes.iter().all(|toolbox| toolbox.name != name) {
            break;
        }
        name = format!("this machine {number}");
    }
    let made: ToolboxCreated = client.post("/api/toolboxes", &ToolboxCreate { name, provision: None }).await?;
    let token = made.enrolment_token.ok_or_else(|| {
        Trouble::new("The new toolbox has no enrolment token.", "Run the same release of both: scripts/up.")
    })?;
    prepared.enrol(&token).await?;
    config.toolbox_id = Some(made.id);
    config.save(home)?;
    Ok(prepared)
}

/// Whether this home has a toolbox's state.
pub fn enrolled(home: &Home) -> bool {
    fs::read_dir(home.toolbox()).is_ok_and(|mut entries| entries.next().is_some())
}

impl Prepared {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // Its own group: Ctrl-C at the terminal is for `agentopia`, which stops things in order.
        command.stdin(Stdio::null()).process_group(0);
        command
    }

    async fn enrol(&self, token: &str) -> Result<(), Trouble> {
        let file = self.home.run().join("enrolment-token");
        write_private(&file, token.as_bytes())?;
        let mut command = self.command();
        command.args(["enrol", "--again", "--url", &self.url, "--listen", &self.listen]);
        command.arg("--token-file").arg(&file).arg("--state").arg(self.home.toolbox());
        let output = command.output().await;
        let _ = fs::remove_file(&file);
        let output = output.map_err(trouble::file("Running", &self.program))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Trouble::new("This machine could not be enrolled as a toolbox.", "Run `agentopia doctor`.")
            .because(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    /// Starts the daemon and returns once its gateway answers.
    pub async fn run(self) -> Result<Running, Trouble> {
        let (stop, stopped) = watch::channel(false);
        let home = self.home.clone();
        let healthy = format!("http://{}/healthz", self.listen);
        let ended = Arc::new(Mutex::new(None));
        let task = tokio::spawn(keep(self, stopped, ended.clone()));
        let running = Running { home: home.clone(), stop, task };
        let (http, end) = (crate::client::http(), tokio::time::Instant::now() + START);
        loop {
            let reply = http.get(&healthy).timeout(Duration::from_secs(1)).send().await;
            if reply.is_ok_and(|reply| reply.status().is_success()) {
                return Ok(running);
            }
            if tokio::time::Instant::now() >= end {
                let why = ended.lock().unwrap_or_else(PoisonError::into_inner).take();
                running.end().await;
                let trouble = Trouble::new("The toolbox's daemon does not start.", "Run `agentopia doctor`.");
                return Err(trouble.because(why.unwrap_or_else(|| tail(&home, "dtma.log"))));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let log =
            fs::OpenOptions::new().create(true).append(true).mode(0o600).open(self.home.logs().join("dtma.log"))?;
        let mut command = self.command();
        command.args(["run", "--url", &self.url, "--listen", &self.listen]).arg("--state").arg(self.home.toolbox());
        command.stdout(log.try_clone()?).stderr(log).spawn()
    }
}

/// Runs the daemon until told to stop; one that dies is started again, at first at once, later at longer intervals.
async fn keep(toolbox: Prepared, mut stopped: watch::Receiver<bool>, ended: Arc<Mutex<Option<String>>>) {
    let mut pause = Duration::from_millis(250);
    loop {
        let began = tokio::time::Instant::now();
        let why = match toolbox.spawn() {
            Ok(mut child) => {
                let process = child.id().and_then(Process::of);
                if let Some(process) = process {
                    let _ = write_json(&toolbox.home.run().join("dtma.json"), &process);
                }
                tokio::select! {
                    // Cancel-safe: `wait` may be called again.
                    status = child.wait() => status.map_or_else(|error| error.to_string(), |status| status.to_string()),
                    // Cancel-safe: the value stays true.
                    () = asked(&mut stopped) => {
                        if let Some(process) = process {
                            process.signal(rustix::process::Signal::TERM);
                        }
                        if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
                            let _ = child.kill().await;
                        }
                        let _ = fs::remove_file(toolbox.home.run().join("dtma.json"));
                        return;
                    }
                }
            }
            Err(error) => error.to_string(),
        };
        if began.elapsed() > Duration::from_secs(60) {
            pause = Duration::from_millis(250);
        }
        let why = format!("{} ended: {why}\n{}", toolbox.program.display(), tail(&toolbox.home, "dtma.log"));
        tracing::error!(why, "the toolbox's daemon ended; it is started again");
        *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        tokio::select! {
            // Cancel-safe: a sleep.
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(30)),
            // Cancel-safe: the value stays true.
            () = asked(&mut stopped) => return,
        }
    }
}

async fn asked(stopped: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could ask: as good as asked.
    let _ = stopped.wait_for(|stop| *stop).await;
}

impl Running {
    /// Stops the daemon. Its servers go on; see [`stop_servers`].
    pub async fn stop(self) {
        self.end().await;
    }

    async fn end(self) {
        self.stop.send_replace(true);
        let _ = self.task.await;
        let _ = fs::remove_file(self.home.run().join("dtma.json"));
    }
}

/// This machine's toolbox, as the control plane knows it.
pub async fn known(home: &Home, config: &Config) -> Option<Toolbox> {
    let client = Client::to(home, &config.url()).await.ok()?;
    client.find(&format!("/api/toolboxes/{}", config.toolbox_id?)).await.ok()?
}

/// What the toolbox says is wrong with the machine, once it has checked in again; Docker, as a rule. `before`: when it was
/// last seen.
pub async fn trouble(home: &Home, config: &Config, before: Option<Timestamp>) -> Option<String> {
    for _ in 0..60 {
        let toolbox = known(home, config).await?;
        if toolbox.last_seen_at != before {
            return toolbox.trouble;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Some("it does not check in".to_owned())
}

/// Stops a daemon of this home that nobody looks after. The caller has the home's lock.
pub async fn stop_orphan(home: &Home) -> Result<(), Trouble> {
    let path = home.run().join("dtma.json");
    let Some(process) = read_json::<Process>(&path).ok().flatten() else { return Ok(()) };
    if process.alive() {
        process.stop(PATIENCE).await;
    }
    if process.alive() {
        return Err(Trouble::new(
            "The toolbox's old daemon cannot be stopped.",
            format!("End it: kill -9 {}", process.pid),
        ));
    }
    let _ = fs::remove_file(&path);
    Ok(())
}

/// Stops the containers of this home's toolbox.
pub async fn stop_servers(home: &Home) -> Result<(), Trouble> {
    let program = home.program("dtma")?;
    let mut command = Command::new(&program);
    command.arg("stop-servers").arg("--state").arg(home.toolbox()).stdin(Stdio::null()).process_group(0);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await;
    match output {
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            Err(Trouble::new("The servers' containers were not all stopped.", "Start Docker, then run this again.")
                .because(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
        }
        Ok(Err(error)) => Err(trouble::file("Running", &program)(error)),
        Err(_) => Err(Trouble::new("Stopping the servers' containers took more than a minute.", "Run this again.")),
    }
}

/// The last lines of a log.
pub fn tail(home: &Home, name: &str) -> String {
    let text = fs::read(home.logs().join(name)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(16 * 1024)..]).into_owned();
    let lines: Vec<&str> = text.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
