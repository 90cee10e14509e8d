//! The hosted entry.

use axum::Router;

/// Serves `app` as a Lambda function URL with response streaming, until the host stops it.
///
/// `AWS_LAMBDA_RUNTIME_API` in the environment says which host that is: AWS, or `cargo lambda watch`.
pub async fn run(app: Router) -> Result<(), lambda_http::Error> {
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .init();
    lambda_http::run_with_streaming_response(app).await
}
