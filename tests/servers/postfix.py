"""Postfix, a mail server, in a folder of its own. It delivers to the mailboxes of a Dovecot, asks
that one for passwords, and asks a test whether it wants a mail now.

Postfix changes between accounts, so it runs only as root.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.daemon import LOOPBACK, Daemon, own_place, program, running
from tests.servers.dovecot import Dovecot
from tests.servers.ports import free_ports
from tests.servers.processes import NoServer

DOMAIN = "box.example"
USERS = [f"{name}{number}" for name in ("anna", "boris", "vera") for number in range(1, 10)]

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
inet_interfaces = {host}
inet_protocols = ipv4
myhostname = mail.{domain}
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
message_size_limit = 50000
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = encrypt
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth}
smtpd_tls_auth_only = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions =
  check_recipient_access inline:{{ {{ nobody@{domain} = 550 5.1.1 No such mailbox }}
    {{ full@{domain} = 452 4.2.2 The mailbox is full }} }}
  check_policy_service inet:{host}:{policy_port}
  permit
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {boxes}
virtual_mailbox_maps = texthash:{folder}/boxes
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
"""

MASTER = """\
{port} inet n - n - - smtpd
{tls_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A server that runs. Mails to those of `USERS` go to their mailboxes."""

    def __init__(self, daemon: Daemon, tls_port: int) -> None:
        self._daemon = daemon
        self._tls_port = tls_port

    @property
    def address(self) -> str:
        """The address of a connection, that goes over to TLS."""
        return f"smtp://{LOOPBACK}:{self._daemon.port}"

    @property
    def tls_address(self) -> str:
        """The one with TLS from the beginning."""
        return f"smtps://{LOOPBACK}:{self._tls_port}"

    def restart(self) -> None:
        """Ends it and starts it again."""
        self._daemon.restart()


@contextmanager
def postfix(boxes: Dovecot, policy_port: int) -> Iterator[Postfix]:
    """Runs a server until the block ends. It asks at `policy_port` before it takes a recipient.
    Raises `NoServer`.
    """
    if os.geteuid() != 0:
        raise NoServer("Postfix runs only as root")
    path = program("postfix", "postfix")
    port, tls_port = free_ports(2)
    folder = Path(tempfile.mkdtemp(prefix="postfix-"))
    folder.chmod(0o755)
    for name in ("queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    place = boxes.place
    owner = place.folder.stat()
    place.folder.chmod(0o711)  # where it asks for passwords, as its own account
    settings = MAIN.format(
        folder=folder,
        host=LOOPBACK,
        domain=DOMAIN,
        certificate=boxes.certificate,
        key=boxes.certificate.with_name("key.pem"),
        auth=boxes.auth_socket,
        policy_port=policy_port,
        boxes=place.folder / "mail",
        uid=owner.st_uid,
        gid=owner.st_gid,
    )
    (folder / "main.cf").write_text(settings, encoding="utf-8")
    master = MASTER.format(port=port, tls_port=tls_port)
    (folder / "master.cf").write_text(master, encoding="utf-8")
    known = "".join(f"{user}@{DOMAIN} {user}/\n" for user in USERS)
    (folder / "boxes").write_text(known, encoding="utf-8")
    try:
        daemon = Daemon([path, "-c", str(folder), "start-fg"], own_place(folder), port)
        with running(daemon):
            yield Postfix(daemon, tls_port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
