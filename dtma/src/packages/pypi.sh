# Arguments: the package, its version or nothing, and further requirements.
set -e
package=$1 version=$2
shift 2
export HOME=/tmp UV_CACHE_DIR=/tmp/uv UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
uv venv --quiet /opt/server
uv pip install --quiet --python /opt/server/bin/python --compile-bytecode "$package${version:+==$version}" "$@"
exec /opt/server/bin/python -c "$DESCRIBE" "${package%%\[*}"
