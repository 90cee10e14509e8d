# Arguments: the package, and its version or nothing. Install scripts stay off.
set -e
package=$1 version=$2
mkdir -p /opt/server && cd /opt/server
export HOME=/tmp npm_config_cache=/tmp/npm npm_config_update_notifier=false
echo '{"private":true}' >package.json
npm install --ignore-scripts --no-audit --no-fund --omit=dev --no-progress --loglevel=error --save-exact "$package@${version:-latest}"
exec node -e "$DESCRIBE" "$package"
