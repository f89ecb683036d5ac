#!/bin/sh
# Fetch mail servers for `make test-mta`, as root on Debian or Ubuntu: tools/mail_servers.sh DIRECTORY postfix exim …
#
# Debian's mail servers exclude each other. Postfix is installed, but not set up, so that it does not start; what else
# there is comes unpacked into DIRECTORY, and only its libraries and its users into the system. Nothing is removed.
set -eu

directory=$1
shift
export DEBIAN_FRONTEND=noninteractive

refresh() {
    [ -n "${refreshed-}" ] || apt-get update -qq
    refreshed=yes
}

is_installed() {
    dpkg -s "$1" >/dev/null 2>&1
}

install() {
    missing=
    for package; do
        is_installed "$package" || missing="$missing $package"
    done
    if [ -n "$missing" ]; then
        refresh
        # shellcheck disable=SC2086 # several packages
        apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends --no-remove $missing
    fi
}

# unpack PACKAGE: into a folder of its name, with what it links to
unpack() {
    if ! [ -d "$directory/$1" ]; then
        refresh
        mkdir -p "$directory/downloaded"
        rm -f "$directory/downloaded/$1"_*.deb
        (cd "$directory/downloaded" && apt-get download -qq -o APT::Sandbox::User=root "$1")
        dpkg -x "$directory/downloaded/$1"_*.deb "$directory/$1"
    fi
    # shellcheck disable=SC2046 # several packages
    install $(dpkg-deb -f "$directory/downloaded/$1"_*.deb Depends | tr ',' '\n' |
        sed -n '/^ *libjs-/d; s/^ *\(lib[^ ]*\).*/\1/p')
}

postfix() {
    is_installed postfix || echo postfix postfix/main_mailer_type select 'No configuration' | debconf-set-selections
    install postfix sasl2-bin libsasl2-modules openssl
}

exim() {
    unpack exim4-daemon-light
    install openssl
    id Debian-exim >/dev/null 2>&1 ||
        useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin Debian-exim
}

# These two log to syslog alone.
opensmtpd() {
    unpack opensmtpd
    unpack rsyslog
    install openssl
}

sendmail() {
    unpack sendmail-bin
    unpack sendmail-cf
    unpack rsyslog
    install m4 sasl2-bin libsasl2-modules openssl
}

dovecot() {
    unpack dovecot-core
    unpack dovecot-imapd
    unpack dovecot-pop3d
    unpack rsyslog
    install openssl
}

# No mail server, but what signs the mail of one.
rspamd() {
    unpack rspamd
    install openssl
}

for server; do
    "$server"
done
