"""Dovecot, an IMAP server, with mailboxes of its own and a certificate made for it."""

from __future__ import annotations

import getpass
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.servers.daemon import LOOPBACK, Daemon, program, running
from tests.servers.ports import free_ports
from tests.servers.processes import Place, place_for

PASSWORD = "a-password-of-the-tests"

SETTINGS = """\
protocols = imap
listen = {host}
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
ssl = required
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
ssl_dh =
mail_location = maildir:{folder}/mail/%u
first_valid_uid = 1
first_valid_gid = 1
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
mail_max_userip_connections = 100
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/home/%u
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service auth {{
  unix_listener {folder}/auth-client {{
    mode = 0666
  }}
}}
service stats {{
  chroot =
}}
"""


class Dovecot:
    """A server that runs. Every user has a mailbox, with the password `PASSWORD`."""

    def __init__(self, daemon: Daemon, plain_port: int) -> None:
        self._daemon = daemon
        self._plain_port = plain_port

    @property
    def address(self) -> str:
        """The address of a connection, with TLS from the beginning."""
        return f"imaps://{LOOPBACK}:{self._daemon.port}"

    @property
    def plain_address(self) -> str:
        """The one that goes over to TLS."""
        return f"imap://{LOOPBACK}:{self._plain_port}"

    @property
    def port(self) -> int:
        """Of IMAP with TLS."""
        return self._daemon.port

    @property
    def certificate(self) -> Path:
        """The file of its certificate, which nobody vouches for."""
        return self._daemon.place.folder / "cert.pem"

    def trust(self) -> ssl.SSLContext:
        """Trusts its certificate and no other."""
        return ssl.create_default_context(cafile=str(self.certificate))

    @property
    def auth_socket(self) -> Path:
        """Where other servers ask whether a password is right."""
        return self._daemon.place.folder / "auth-client"

    def mail_folder(self, user: str) -> Path:
        """Where the mails of a user lie."""
        return self._daemon.place.folder / "mail" / user

    @property
    def place(self) -> Place:
        """Its folder, and the account that mailboxes belong to."""
        return self._daemon.place

    def restart(self) -> None:
        """Ends it and starts it again."""
        self._daemon.restart()


def _make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail of the tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, form, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(secret)


@contextmanager
def dovecot(folder: Path) -> Iterator[Dovecot]:
    """Runs a server until the block ends. Raises `NoServer`."""
    path = program("dovecot", "dovecot-imapd")
    port, plain_port = free_ports(2)
    with place_for("dovecot", folder) as place:
        _make_certificate(place.folder)
        user, group = _account(place.user, place.group)
        settings = place.folder / "dovecot.conf"
        settings.write_text(
            SETTINGS.format(
                host=LOOPBACK,
                folder=place.folder,
                port=port,
                plain_port=plain_port,
                password=PASSWORD,
                user=user,
                group=group,
            ),
            encoding="utf-8",
        )
        # Its master stays root where we are, and runs the rest as the user of the settings.
        daemon = Daemon([path, "-F", "-c", str(settings)], place._replace(user=None), port)
        with running(daemon):
            yield Dovecot(daemon, plain_port)


def _account(uid: int | None, gid: int | None) -> tuple[str, str]:
    import grp  # noqa: PLC0415 - only here
    import pwd  # noqa: PLC0415 - only here

    if uid is None or gid is None:
        name = getpass.getuser()
        return name, grp.getgrgid(pwd.getpwnam(name).pw_gid).gr_name
    return pwd.getpwuid(uid).pw_name, grp.getgrgid(gid).gr_name
