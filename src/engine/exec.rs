//! A container's own health command, run by us.

use std::time::Duration;

use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures_util::StreamExt;

use crate::engine::api::Api;
use crate::engine::failure::Failure;
use crate::ports::{ContainerId, HealthCommand, ReadError};

/// The engine closes the output a moment before it knows the exit code.
const EXIT_CODE_POLL: Duration = Duration::from_millis(5);

/// Runs it once: true when it exits with 0.
pub(super) async fn run_health_command(
    api: &Api,
    id: &ContainerId,
    command: &HealthCommand,
) -> Result<bool, ReadError> {
    // Docker counts a run that takes longer as failed; it goes on inside the container, as it does
    // with Docker.
    let run = tokio::time::timeout(command.timeout, run(api, id, command)).await;
    match run {
        Ok(code) => Ok(code? == 0),
        Err(_) => Err(ReadError::TimedOut(command.timeout)),
    }
}

async fn run(api: &Api, id: &ContainerId, command: &HealthCommand) -> Result<i64, Failure> {
    // Attached, because the end of the output is the end of the command: nothing to poll for.
    let config = ExecConfig {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command.argv.clone()),
        ..Default::default()
    };
    let exec = api.bollard.create_exec(&id.0, config).await?.id;
    if let StartExecResults::Attached { mut output, .. } =
        api.bollard.start_exec(&exec, None::<StartExecOptions>).await?
    {
        while output.next().await.transpose()?.is_some() {}
    }
    loop {
        let state = api.bollard.inspect_exec(&exec).await?;
        if let (Some(false), Some(code)) = (state.running, state.exit_code) {
            return Ok(code);
        }
        tokio::time::sleep(EXIT_CODE_POLL).await;
    }
}
