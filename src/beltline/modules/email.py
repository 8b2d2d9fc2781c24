"""Bring a mail address into one form: trimmed, its host in small letters and in ASCII.

The part before the @ belongs to the host that receives it, and is kept as it is: whether it minds
capitals, dots or what follows a + is known there only. `tag: remove` takes off what follows a +,
for those who know that it does not count.
"""

from __future__ import annotations

from typing import Annotated, Literal

from beltline.sdk import Config, Context, Example, Module, Output, Reject, field

_LONGEST = 1_000  # characters; an address has at most 254, and IDNA makes them more


class EmailConfig(Config):
    """The address, and what is expected of it."""

    email: Annotated[
        str,
        field("E-mail", "The address as it was written.", examples=["{{ request.email }}"]),
    ]
    tag: Annotated[
        Literal["keep", "remove"],
        field("Tag", "What becomes of a tag, such as the news of anna+news@site.example."),
    ] = "keep"
    invalid: Annotated[
        Literal["tell", "reject"],
        field(
            "Invalid",
            "What an address that cannot be one gives: a result with `valid` false, or a failure.",
        ),
    ] = "tell"


class EmailOutput(Output):
    """The address."""

    valid: Annotated[bool, field("Valid", "Whether it has the form of an address.")]
    email: Annotated[str, field("E-mail", "The address; empty if it is not valid.")] = ""
    local: Annotated[str, field("Local part", "What stands before the @.")] = ""
    host: Annotated[str, field("Host", "What stands after it, in ASCII.")] = ""
    shown_host: Annotated[str, field("Shown host", "The host in its own letters.")] = ""
    tag: Annotated[str, field("Tag", "What follows the first + before the @.")] = ""
    reason: Annotated[str, field("Reason", "Why it is not valid; empty if it is.")] = ""


def normalise(config: EmailConfig, context: Context) -> EmailOutput | Reject:
    """Reads the address; nobody is asked whether it exists."""
    from email_validator import EmailNotValidError, validate_email

    try:
        # What is cut off here was too long already, and is refused as that.
        text = config.email.strip()[:_LONGEST]
        read = validate_email(text, check_deliverability=False, allow_quoted_local=True)
    except EmailNotValidError as wrong:
        reason = str(wrong)
        if config.invalid == "reject":
            return Reject(reason)
        return EmailOutput(valid=False, reason=reason)
    local, plus, tag = read.local_part.partition("+")
    if local.startswith('"') or not local:  # what is quoted has no tags, nor has a bare +tag
        local, plus, tag = read.local_part, "", ""
    if config.tag == "keep":
        local += plus + tag
    host = read.ascii_domain
    return EmailOutput(
        valid=True,
        email=f"{local}@{host}",
        local=local,
        host=host,
        shown_host=read.domain,
        tag=tag,
    )


module = Module(
    name="email",
    version=1,
    summary="Bring a mail address into one form.",
    description=(
        "The address is trimmed, and its host written in small letters and in ASCII (IDNA). The"
        " part before the @ is kept as it is, but for `tag`. The form is checked, and nobody is"
        " asked whether the address exists."
    ),
    category="data",
    icon="at-sign",
    effect="idempotent",
    on_repeat="It gives the same result.",
    config=EmailConfig,
    output=EmailOutput,
    handler=normalise,
    examples=(
        Example(
            "An address with a tag and a host in Cyrillic",
            {"email": " Anna+news@Почта.рф ", "tag": "remove"},
            {
                "valid": True,
                "email": "Anna@xn--80a1acny.xn--p1ai",
                "local": "Anna",
                "host": "xn--80a1acny.xn--p1ai",
                "shown_host": "почта.рф",
                "tag": "news",
                "reason": "",
            },
        ),
    ),
)
