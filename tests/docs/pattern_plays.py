"""What makes each control-flow pattern the pattern, as a play of its file.

The words are those of `played_processes`. A pattern has several plays where it has several ways.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Row(NamedTuple):
    """A play of `file`. `said` are the messages of `log` in their order, `result` is what the first
    run came to; None where they are not looked at.
    """

    file: str
    request: dict[str, Any]
    play: str
    said: list[str] | None = None
    result: Any = None


ROWS = [
    Row("01-sequence", {}, "start -> paid; paid -> packed; packed -> completed"),
    Row(
        "02-parallel-split",
        {},
        "start -> ordered; ordered -> packed billed; billed -> packed; packed -> completed",
    ),
    Row(
        "03-synchronization",
        {},
        "start -> packed billed; billed -> packed (sent); packed -> sent; sent -> completed",
    ),
    Row("04-exclusive-choice", {"sum": 20000}, "start -> ordered; ordered -> by-hand"),
    Row("04-exclusive-choice", {"sum": 2000}, "start -> ordered; ordered -> insured"),
    Row("04-exclusive-choice", {"sum": 20}, "start -> ordered; ordered -> by-post"),
    Row(
        "05-simple-merge",
        {"sum": 2000},
        "start -> ordered; ordered -> insured; insured -> noted; noted -> completed",
    ),
    Row(
        "05-simple-merge",
        {"sum": 20},
        "start -> ordered; ordered -> by-post; by-post -> noted; noted -> completed",
    ),
    Row("06-multi-choice", {"phone": 1, "mail": 1}, "start -> ordered; ordered -> texted mailed"),
    Row("06-multi-choice", {"mail": 1}, "start -> ordered; ordered -> mailed"),
    Row("06-multi-choice", {}, "start -> ordered; ordered -> written"),
    Row(
        "07-structured-synchronizing-merge",
        {"phone": 1, "mail": 1},
        """start -> ordered; ordered -> texted mailed; mailed -> texted (told); texted -> told
        told -> completed""",
    ),
    Row(
        "07-structured-synchronizing-merge",
        {"phone": 1},
        "start -> ordered; ordered -> texted; texted -> told; told -> completed",
    ),
    Row("07-structured-synchronizing-merge", {}, "start -> ordered; ordered -> told"),
    Row(
        "08-multi-merge",
        {},
        """start -> packed billed; packed -> billed checked; billed -> checked checked
        checked -> checked; checked -> completed""",
    ),
    Row(
        "09-structured-discriminator",
        {},
        """start -> north south; south -> north booked (closed); booked -> north (closed)
        north -> closed; closed -> completed""",
    ),
    Row(
        "09-structured-discriminator",
        {},
        "start -> north south; north -> south booked (closed); south -> booked closed",
    ),
    Row(
        "10-arbitrary-cycles",
        {"draft": "an old one"},
        """start -> checked; event verdict unclear -> asked; event answer anew -> written
        written -> checked; event verdict wrong -> written; written -> checked
        event verdict unclear -> asked; event answer clear -> checked; event verdict good -> sent
        sent -> completed""",
    ),
    Row("10-arbitrary-cycles", {}, "start -> written; written -> checked"),
    Row(
        "11-implicit-termination",
        {},
        "start -> packed billed; packed -> billed sent; sent -> billed; billed -> completed",
    ),
    Row(
        "11-implicit-termination",
        {},
        "start -> packed billed; billed -> packed; packed -> sent; sent -> completed",
    ),
    Row(
        "12-instances-without-synchronization",
        {"parcels": 3},
        """start -> completed / paid / paid / paid; 2:paid -> completed / paid / packed / paid
        2:packed -> completed / paid / paid""",
    ),
    Row(
        "13-instances-known-at-design-time",
        {},
        """start -> copies / paid / paid / paid; 3:paid -> copies / paid / paid / packed
        3:packed -> copies / paid / paid; 1:paid -> copies / packed / paid
        1:packed -> copies / paid; 2:paid -> copies / packed; 2:packed -> sent
        sent -> completed""",
    ),
    Row(
        "14-instances-known-at-run-time",
        {"parcels": ["lamp", "desk"]},
        """start -> parcels / paid / paid; 2:paid -> parcels / paid / packed
        2:packed -> parcels / paid; 1:paid -> parcels / packed; 1:packed -> sent""",
    ),
    Row("14-instances-known-at-run-time", {"parcels": []}, "start -> sent"),
    Row(
        "15-instances-not-known-before",
        {},
        """start -> parcel; event parcel-came {"name": "lamp"} -> parcel weighed
        event parcel-came {"name": "desk"} -> parcel weighed weighed
        weighed -> parcel weighed (sent)
        event parcel-came {"name": "bed"} -> parcel weighed weighed (sent)
        +1h -> weighed weighed (sent); weighed -> weighed (sent); weighed -> sent
        sent -> completed""",
        said=["lamp", "desk", "bed", "All parcels are weighed."],
    ),
    Row(
        "16-deferred-choice",
        {},
        """start -> offered / paid withdrawn; event withdrawn -> put-back
        brief-event paid -> put-back; put-back -> completed""",
    ),
    Row("16-deferred-choice", {}, "start -> offered / paid withdrawn; event paid -> sent"),
    Row(
        "17-interleaved-parallel-routing",
        {},
        """start -> chosen; event do-next dry -> chosen; event do-next bill -> billed
        billed -> chosen; event do-next bill -> chosen; event do-next wash -> washed
        washed -> chosen; event do-next wash -> chosen; event do-next dry -> dried
        dried -> returned; returned -> completed""",
    ),
    Row(
        "17-interleaved-parallel-routing",
        {},
        """start -> chosen; event do-next wash -> washed; washed -> chosen
        event do-next dry -> dried; dried -> chosen; event do-next bill -> billed
        billed -> returned""",
    ),
    Row(
        "18-milestone",
        {},
        """start -> paid later; +1m -> paid later; paid -> sent later; +1m -> sent changed
        changed -> sent; sent -> completed""",
    ),
    Row(
        "18-milestone",
        {},
        "start -> paid later; paid -> sent later; sent -> later; +1m -> too-late",
    ),
    Row(
        "19-cancel-task",
        {},
        """start -> search / searched given-up; event give-up -> told; late searched -> told
        told -> completed""",
    ),
    Row("19-cancel-task", {}, "start -> search / searched given-up; searched -> told"),
    Row(
        "20-cancel-case",
        {},
        """start -> booked billed; booked -> called-for billed; undo -> unbooked
        late billed -> unbooked; unbooked -> cancelled""",
    ),
    Row(
        "20-cancel-case",
        {},
        "start -> booked billed; cancel -> cancelled; late booked -> cancelled",
    ),
    Row(
        "21-structured-loop",
        {"parcels": 2},
        "start -> packed; packed -> packed; packed -> sent; sent -> completed",
    ),
    Row("21-structured-loop", {"parcels": 0}, "start -> sent"),
    Row("22-recursion", {"boxes": 3}, "start -> completed", result={"opened": 3}),
    Row(
        "23-transient-trigger",
        {},
        "start -> walked; brief-event bell -> walked; walked -> rung; +5m -> left",
    ),
    Row(
        "23-transient-trigger",
        {},
        "start -> walked; walked -> rung; brief-event bell -> handed-over",
    ),
    Row("24-persistent-trigger", {}, "start -> packed; event paid -> packed; packed -> sent"),
    Row("24-persistent-trigger", {}, "start -> packed; packed -> paid; event paid -> sent"),
    Row(
        "25-cancel-region",
        {},
        """start -> handling thanked / packed billed withdrawn
        packed -> handling thanked / billed (sent) withdrawn; event withdrawn -> thanked closed
        late billed -> thanked closed; thanked -> closed; closed -> completed""",
    ),
    Row(
        "25-cancel-region",
        {},
        """start -> handling thanked / packed billed withdrawn
        packed -> handling thanked / billed (sent) withdrawn
        billed -> handling thanked / sent withdrawn; sent -> thanked closed""",
    ),
    Row(
        "26-cancel-instances",
        {"parcels": ["lamp", "desk", "bed"]},
        """start -> parcels / packed withdrawn / paid / paid / paid
        2:paid -> parcels / packed withdrawn / packed / paid / paid
        2:packed -> parcels / packed withdrawn / paid / paid
        event withdrawn -> withdrawn / cancelled / cancelled
        late 3:paid -> withdrawn / cancelled / cancelled""",
    ),
    Row(
        "26-cancel-instances",
        {"parcels": ["lamp"]},
        """start -> parcels / packed withdrawn / paid; 2:paid -> parcels / packed withdrawn / packed
        2:packed -> sent""",
    ),
    Row(
        "27-complete-instances",
        {"couriers": ["north", "south"]},
        """start -> offers / asked enough / paid / paid
        2:paid -> offers / asked enough / packed / paid
        2:packed -> offers / asked enough / paid; event enough -> compared / cancelled""",
    ),
    Row(
        "29-cancelling-discriminator",
        {},
        "start -> race / north south; south -> booked; late north -> booked; booked -> completed",
        said=[
            "What does the courier in the north ask?",
            "What does the courier in the south ask?",
            "south is booked.",
        ],
    ),
    Row(
        "30-structured-partial-join",
        {},
        """start -> north south west; west -> north south (closed)
        north -> south compared (closed); south -> compared closed; closed -> compared
        compared -> completed""",
    ),
    Row(
        "32-cancelling-partial-join",
        {},
        """start -> race / north south west; west -> race / north south; south -> compared
        late north -> compared; compared -> completed""",
    ),
    Row(
        "34-static-partial-join-for-instances",
        {},
        """start -> first second third / paid / paid / paid
        2:paid -> first second third / paid / packed / paid; 2:packed -> first third / paid / paid
        1:paid -> first third / packed / paid; 1:packed -> third compared / paid
        3:paid -> third compared / packed; 3:packed -> compared; compared -> completed""",
    ),
    Row(
        "35-cancelling-partial-join-for-instances",
        {},
        """start -> race / first second third / paid / paid / paid
        3:paid -> race / first second third / paid / packed / paid
        3:packed -> race / first third / paid / paid; 4:paid -> race / first third / paid / packed
        4:packed -> compared / cancelled; late 2:paid -> compared / cancelled""",
    ),
    Row(
        "37-local-synchronizing-merge",
        {"goods": 1, "bill": 1, "fragile": 1},
        """start -> ordered; ordered -> packed billed; packed -> wrapped insured billed
        billed -> wrapped insured (billed-too); wrapped -> insured (billed-too) (sent)
        insured -> billed-too (sent); billed-too -> sent; sent -> completed""",
    ),
    Row(
        "37-local-synchronizing-merge",
        {"goods": 1},
        "start -> ordered; ordered -> packed; packed -> sent",
    ),
    Row(
        "37-local-synchronizing-merge",
        {"bill": 1},
        "start -> ordered; ordered -> billed; billed -> billed-too; billed-too -> sent",
    ),
    Row(
        "38-general-synchronizing-merge",
        {},
        """start -> packed reminded; packed -> reminded (sent)
        event answered later -> reminded (sent); event answered later -> reminded (sent)
        event answered soon -> sent; sent -> completed""",
    ),
    Row(
        "38-general-synchronizing-merge",
        {},
        """start -> packed reminded; packed -> reminded (sent); event answered never -> sent
        sent -> completed""",
    ),
    Row(
        "39-critical-section",
        {},
        """start -> goods bill; goods -> bill weighed; bill -> weighed; weighed -> stamped (sent)
        stamped -> sent; sent -> completed""",
    ),
    Row(
        "39-critical-section",
        {},
        """start -> goods bill; bill -> goods stamped; goods -> stamped; stamped -> weighed (sent)
        weighed -> sent; sent -> completed""",
    ),
    Row(
        "39-critical-section",
        {},
        """start -> goods bill; goods -> bill weighed; weighed -> bill (sent)
        bill -> stamped (sent); stamped -> sent""",
    ),
    Row(
        "40-interleaved-routing",
        {},
        """start -> chosen; event do-next weigh -> weighed; weighed -> chosen
        event do-next weigh -> chosen; event do-next measure -> measured; measured -> sent""",
    ),
    Row(
        "40-interleaved-routing",
        {},
        """start -> chosen; event do-next measure -> measured; measured -> chosen
        event do-next weigh -> weighed; weighed -> sent; sent -> completed""",
    ),
    Row(
        "41-thread-merge",
        {},
        """start -> packed packed packed (sent); packed -> packed packed (sent)
        packed -> packed (sent); packed -> sent; sent -> completed""",
        said=["Parcel 1", "Parcel 2", "Parcel 3", "All are gone."],
    ),
    Row(
        "42-thread-split",
        {},
        """start -> packed packed packed; packed -> packed packed sent; packed -> packed sent sent
        sent -> packed sent; packed -> sent sent; sent -> sent; sent -> completed""",
        said=["Parcel 1", "Parcel 2", "Parcel 3", *["One is gone."] * 3],
    ),
    Row("43-explicit-termination", {"credit": 0}, "start -> completed; late packed -> completed"),
    Row("43-explicit-termination", {"credit": 5}, "start -> packed; packed -> sent"),
]
