# Packages of Debian releases other than this machine's, by private apt settings; to be sourced.

DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

debian_mirror() { # the mirror that this machine uses if it is Debian, in either form of sources, else the public one
  local u=
  . /etc/os-release
  if [ "${ID:-}" = debian ]; then
    u=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '/^URIs:/ && $2 ~ /\/debian\/?$/ {print $2; exit}')
    [ -n "$u" ] || u=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
      awk '$1 == "deb" {for (i = 2; i <= NF; i++) if ($i ~ /:\/\/.*\/debian\/?$/) {print $i; exit}}')
  fi
  echo "${u:-http://deb.debian.org/debian}"
}

debian_apt() { # $1 = a temporary folder, $2 = release, $3 = architecture if not amd64: fetches the lists; those of a mirror that lags behind will do
  local D=$1/$2 A=${3:-amd64}
  mkdir -p "$D/lists/partial" "$D/cache/archives/partial"; : > "$D/status"
  echo "deb [signed-by=$DEBIAN_KEYRING] $(debian_mirror) $2 main" > "$D/sources.list"
  cat > "$D/apt.conf" <<E
Dir::Etc::sourcelist "$D/sources.list"; Dir::Etc::sourceparts "/dev/null";
Dir::State::Lists "$D/lists"; Dir::State::status "$D/status"; Dir::Cache "$D/cache";
Acquire::Check-Valid-Until "false"; Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false"; Acquire::Retries "3";
APT::Architecture "$A"; APT::Architectures { "$A"; }; APT::Sandbox::User "$(id -un)";
E
  APT_CONFIG=$D/apt.conf apt-get -qq update
}

debian_get() { # $1 = the folder of debian_apt, $2 = release, then packages: downloads them into the current folder
  local D=$1/$2; shift 2
  APT_CONFIG=$D/apt.conf apt-get -qq download "$@" > /dev/null
}
