# Arguments: the package, its version or nothing, and further requirements. Only wheels: building one would run the package's
# code here. For the same reason what was installed is looked at without its site hooks.
set -e
package=$1 version=$2
shift 2
export HOME=/tmp UV_CACHE_DIR=/tmp/uv UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
uv venv --quiet /opt/server
uv pip install --quiet --no-build --python /opt/server/bin/python "$package${version:+==$version}" "$@"
python3 -I -S -m compileall -q -j 0 /opt/server/lib >/dev/null || true
exec python3 -I -S -c "$DESCRIBE" "${package%%\[*}"
