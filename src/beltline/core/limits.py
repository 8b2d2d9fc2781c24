"""Every bound of the system, in one place, each with its reason.

Two sets stand here: `PRODUCTION`, and `TINY` for tests that want to pass a bound cheaply.
Passing a bound gives an error that names it by the field's name here.
"""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """The bounds; sizes in bytes, times in milliseconds unless the name says otherwise."""

    # Intake. A lead is about 400 bytes; 1 MiB carries any form without files.
    request_body_bytes: int = 1_048_576
    request_depth: int = 100  # deeper JSON is an attack or a mistake, and parsers recurse
    request_header_bytes: int = 16_384  # kept with the request, so bounded
    identity_bytes: int = 512  # an identity is a key in an index, not a document
    request_body_wait_ms: int = 30_000  # one that sends a byte a second would hold on for days
    form_fields: int = 10_000  # each costs microseconds; PHP itself stops at 1,000
    form_name_parts: int = 20_000  # `a[b][c]` has three; each is an object that is built
    multipart_parts: int = 1_000  # what finds them is slower than what parts a plain form
    xml_nodes: int = 20_000  # elements and attributes: each costs microseconds too
    upload_bytes: int = 16_777_216  # a multipart body with files, where its source allows that
    uploads_at_once: int = 4  # larger than `request_body_bytes`; they are in memory as a whole
    file_name_bytes: int = 255  # of a file that is sent along, as file systems have it
    schema_errors: int = 20  # told to one sender: the rest are told when these are mended
    sender_wait_ms: int = 30_000  # a sender may wait for its run; proxies give up about here
    waiting_senders: int = 1_000  # each holds a connection
    answer_bytes: int = 1_048_576  # of a source's own answer

    # Requests that started nothing, kept to be seen: whoever knows an address can send them.
    verdicts_per_second: int = 100  # of one source; a flood shows in its first ones
    verdicts_kept: int = 10_000  # of one source, the newest
    verdict_ms: int = 604_800_000  # 7 days: a mistake of Friday is seen on Monday
    verdict_body_bytes: int = 65_536  # the bodies of larger ones are not kept

    # Sources that look for themselves.
    mail_bytes: int = 26_214_400  # with its attachments, as it stands in the mailbox: 25 MiB
    mail_parts: int = 1_000  # a mail has three, and some more with many files
    queue_in_flight: int = 1_000  # messages of a source that are not acknowledged: 1 MiB each
    schedule_missed: int = 1_000  # fired at once after an outage: most of a day of minutes
    feed_batch: int = 200  # offered at once: they share commits, and memory stays small
    source_files: int = 10_000  # of one look; the next one goes on
    source_file_bytes: int = 1_073_741_824  # read row by row; a larger one is some mistake
    poll_pages: int = 1_000  # of one look: more is a loop, or wants a cursor
    poll_rows: int = 10_000  # of one query, which stand in memory together
    poll_bytes: int = 67_108_864  # the same, as JSON: a row with files in it is not a small one

    # Definitions.
    definition_bytes: int = 16_777_216  # 10,000 steps with conditions take about 5 MB
    definition_depth: int = 8_000  # 1,000 condition levels with nested tests, and air above
    definition_nodes: int = 2_000_000
    condition_levels: int = 1_000
    process_steps: int = 10_000
    step_targets: int = 1_000  # a fan-out wider than this wants a for-each
    name_bytes: int = 200
    schema_depth: int = 100  # validators recurse
    form_levels: int = 4  # groups in groups, on a page
    form_page_fields: int = 500
    compiled_steps: int = 20_000  # of versions that runs are on, kept in memory: 5 KB a step

    # Expressions: written by people, run for every request.
    expression_bytes: int = 2_048
    expression_time_ms: int = 250  # only a guard; sizes are bounded below
    expression_stack: int = 200
    expression_sequence: int = 100_000
    expression_result_bytes: int = 1_048_576  # of a string that a function builds
    regex_bytes: int = 1_024

    # Runs.
    document_bytes: int = 4_194_304
    result_bytes: int = 1_048_576
    result_depth: int = 200  # what encoders and decoders carry by recursion, with much air
    visits_per_step: int = 1_000
    decision_events: int = 20_000  # one decision of a process of 10,000 steps fits
    error_message_bytes: int = 2_000
    saw_value_bytes: int = 200  # values in a decision's reason are for reading, not for data
    crashes: int = 5  # recoveries in a row after which a run is set aside
    retry_attempts: int = 1_000
    retry_wait_ms: int = 2_592_000_000  # 30 days
    timeout_ms: int = 86_400_000  # one day; longer work answers by an event
    wait_ms: int = 315_360_000_000  # ten years

    # Outside events.
    event_key_bytes: int = 512  # a name and a key stand in an index
    event_keep_ms: int = 604_800_000  # 7 days: what nobody waits for by then was a mistake
    event_id_ms: int = 86_400_000  # its id is known for a day: senders repeat within minutes

    call_depth: int = 20  # of runs that call each other: more is a process that calls itself
    for_each_items: int = 1_000  # whose ends one run hears, and folds its journal for each time
    for_each_children: int = 100  # at once: so many may begin in one commit
    approval_bytes: int = 65_536  # what a person says with a decision

    # Workers: modules behind `http`.
    module_answer_bytes: int = 1_114_112  # `result_bytes`, and what stands around the result
    module_event_bytes: int = 8_388_608  # parameters can repeat what the document holds once
    module_calls: int = 64  # under way at one module, unless its binding says otherwise
    queue_sending: int = 64  # messages that wait for the confirmation of one broker
    # Modules. A result stands in the document; files are read into memory.
    module_rows: int = 10_000  # of a query or a table, at once: more goes on with the next
    module_file_bytes: int = 33_554_432  # 32 MiB: twice what a site can send, and some mails
    module_unpacked_bytes: int = 134_217_728  # of an xlsx, which is a zip: more is a bomb
    module_cells: int = 1_000_000  # of a sheet, looked at in some seconds
    outgoing_body_bytes: int = 34_603_008  # files of `module_file_bytes`, and what is around them

    # Engine.
    batch: int = 512  # decisions per commit: more gains little, and costs latency
    claim_runs: int = 100  # at once, in well under 20 ms; what is left is claimed right after it
    claim_bytes: int = 8_388_608  # the same: a node's beats wait for its claims
    beat_ms: int = 2_000  # a fifth of the lease of a node: four beats may be lost
    held_ms: int = 1_000  # a call whose turn is so near waits for it in memory, and not parked
    held_calls: int = 500  # of one connection: the commits that parking takes are cheap enough
    moving_runs: int = 2_000
    moving_document_bytes: int = 67_108_864
    handler_threads: int = 64  # a module that blocks takes one thread each
    handlers_per_module: int = 32  # of those threads, so that one module cannot take them all
    page: int = 200  # the longest page of a list
    bulk_runs: int = 1_000  # decided about in one call: it stays short, and `next` goes on
    release_requests: int = 1_000_000  # in one call: a backlog of a day, in some seconds
    collect_requests: int = 1_000  # in one run, whose document they make together
    told_findings: int = 1_000  # in one answer: 10,000 wrong steps are mended in rounds


PRODUCTION = Limits()
TINY = Limits(
    request_body_bytes=2_048,
    request_depth=8,
    form_fields=20,
    xml_nodes=20,
    upload_bytes=8_192,
    uploads_at_once=1,
    schema_errors=3,
    waiting_senders=2,
    verdicts_per_second=3,
    verdicts_kept=5,
    verdict_body_bytes=1_024,
    mail_bytes=16_384,
    mail_parts=10,
    queue_in_flight=20,
    schedule_missed=3,
    feed_batch=2,
    source_files=3,
    source_file_bytes=16_384,
    poll_pages=3,
    poll_rows=5,
    module_rows=20,
    module_file_bytes=16_384,
    module_unpacked_bytes=65_536,
    module_cells=1_000,
    compiled_steps=4,
    condition_levels=8,
    process_steps=20,
    expression_bytes=128,
    document_bytes=8_192,
    result_bytes=4_096,
    visits_per_step=5,
    module_answer_bytes=4_352,
    module_event_bytes=16_384,
    module_calls=2,
    batch=4,
    claim_runs=4,
    held_calls=3,
    moving_runs=8,
    moving_document_bytes=16_384,
    handler_threads=2,
    handlers_per_module=1,
    page=5,
    bulk_runs=3,
    release_requests=20,
    told_findings=3,
)
LIMITS = PRODUCTION
