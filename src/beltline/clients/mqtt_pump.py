"""Moves what goes over the line of an MQTT client, in a thread of its own.

The library has such a thread, which waits by `select`: that knows no file above number 1,023, and a
hub with many connections has more.
"""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode

_LOOK_MS = 1_000  # so often pings are looked after
_LEAVE_S = 1.0  # for what is still to be written when it is told to stop
_READY = select.POLLIN | select.POLLHUP | select.POLLERR


class Pump:
    """Calls the callbacks of a connected client, from `start` until its line is gone or `stop`."""

    def __init__(self, client: paho.Client) -> None:
        self._client = client
        self._is_stopping = False
        self._wakes, self._waker = socket.socketpair()
        self._wakes.setblocking(False)
        self._waker.setblocking(False)
        client.on_socket_register_write = self._wake
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Writes what is to be written, and returns when the thread has ended."""
        if self._thread.ident is not None:
            self._thread.join(_LEAVE_S)
            self._is_stopping = True
            self._wake()
            self._thread.join()
        self._client.on_socket_register_write = None
        self._wakes.close()
        self._waker.close()

    def _wake(self, *_: Any) -> None:
        """Something is to be written; called by any thread."""
        with suppress(OSError):  # it is awake, or has ended
            self._waker.send(b"w")

    def _run(self) -> None:
        while not self._is_stopping and self._turn():
            pass

    def _turn(self) -> bool:
        """Waits for something to do, and does it. False when the line is gone."""
        client = self._client
        line = client.socket()
        if line is None:
            return False
        waiting = select.poll()
        try:
            waiting.register(line, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        except (OSError, ValueError):  # it was closed a moment ago
            return False
        waiting.register(self._wakes, select.POLLIN)
        # What TLS has read already makes no socket ready.
        has_more = bool(getattr(line, "pending", int)())
        events = dict(waiting.poll(0 if has_more else _LOOK_MS))
        if self._wakes.fileno() in events:
            self._wakes.recv(4_096)
        done = MQTTErrorCode.MQTT_ERR_SUCCESS
        if has_more or events.get(line.fileno(), 0) & _READY:
            done = client.loop_read()
        if done == MQTTErrorCode.MQTT_ERR_SUCCESS and client.want_write():
            done = client.loop_write()
        if done == MQTTErrorCode.MQTT_ERR_SUCCESS:
            done = client.loop_misc()
        return done == MQTTErrorCode.MQTT_ERR_SUCCESS
