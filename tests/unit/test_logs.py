"""Secrets are taken out of what is written, wherever they stand."""

from __future__ import annotations

from beltline.logs import Redaction


def test_a_secret_is_taken_out_at_any_depth_and_as_base64() -> None:
    redaction = Redaction(["user:canary"])
    line = {"event": "a user:canary b", "user:canary": [("Basic dXNlcjpjYW5hcnk=", 7)]}
    assert redaction.clean(line) == {"event": "a [secret] b", "[secret]": [["Basic [secret]", 7]]}


def test_a_secret_of_several_lines_is_several_and_blanks_around_it_are_none() -> None:
    redaction = Redaction(["canary-one\n canary-two \n"])
    said = "canary-one, canary-two, Y2FuYXJ5LXR3bw=="
    assert redaction.clean(said) == "[secret], [secret], [secret]"


def test_the_longer_of_two_secrets_is_taken_out_whole() -> None:
    assert Redaction(["canary", "canary-and-more"]).clean("canary-and-more") == "[secret]"


def test_what_is_too_short_would_blot_out_words() -> None:
    assert Redaction(["1234"]).clean("12345") == "12345"
