"""The planted bugs: patches to the engine's own code, or to the model of a store, to show that the
simulation would find them. Each names the checker that finds it; those of buffers, and of what a
process does beside calling modules, stand in files of their own.
"""

from __future__ import annotations

from beltline.core import decide, graph, run, turn
from beltline.engine import belt, committer, dispatcher, gate, loader, moving, node, pulse
from beltline.sdk import context
from tests.simulation import disk, store
from tests.simulation.mutants_of_buffers import MUTANTS_OF_BUFFERS
from tests.simulation.mutants_of_flow import MUTANTS_OF_FLOW
from tests.simulation.planting import Mutant, between_nodes, mutant

_BELT = belt.Belt
_COMMITTER = committer.Committer
_LOADER = loader.Loader
_TURN = turn.Turn

MUTANTS: tuple[Mutant, ...] = (
    *MUTANTS_OF_BUFFERS,
    *MUTANTS_OF_FLOW,
    mutant(
        "who is turned away for want of room is told that it is accepted",
        "nothing_accepted_is_lost",
        (
            _COMMITTER,
            "_turn_away",
            "reply.give(Refused(reason, is_in_doubt))",
            "reply.give(Accepted(newcomer.submitted.request.key, False))",
        ),
    ),
    mutant(
        "senders are answered before the commit",
        "nothing_accepted_is_lost",
        (
            _BELT,
            "_submitted",
            "work = self._committer.gathering\n",
            """work = self._committer.gathering
    from beltline.engine.work import Accepted
    submitted.reply.give(Accepted(request.key, request.held))
""",
        ),
    ),
    mutant(
        "a repeat is told its own number instead of the first's",
        "repeats_get_the_first_answer",
        (
            _COMMITTER,
            "_act",
            "reply.give(repeat)",
            "reply.give(Repeat(newcomer.submitted.request.key, repeat.same_body))",
        ),
    ),
    mutant(
        "the identity is ignored within one batch",
        "repeats_get_the_first_answer",
        (
            _BELT,
            "_submitted",
            "request = submitted.request\n",
            """request = submitted.request
    if self._committer.gathering.newcomers and request.identity:
        fields = {name: getattr(request, name) for name in request.__struct_fields__}
        fields["identity"] += " "
        request = submitted.request = type(request)(**fields)
""",
        ),
    ),
    mutant(
        "answers of earlier attempts are not fenced off",
        "results_recorded_once",
        (decide, "awaited", " or found.attempt != input.attempt", ""),
    ),
    mutant(
        "an answer counts although its attempt failed meanwhile",
        "results_recorded_once",
        (decide, "awaited", 'found.phase in ("dispatched", "deferred")', 'found.phase != "dead"'),
    ),
    mutant(
        "a join fires at the first arrival",
        "order_follows_routes",
        (
            graph,
            "ready_join",
            "if sources.isdisjoint(standing) and sources.isdisjoint(others):",
            "if True:",
        ),
    ),
    mutant(
        "the way of on_error is not taken",
        "order_follows_routes",
        (_TURN, "fail", "if step.on_error and not dead", "if False"),
    ),
    mutant(
        "one failure more than the policy allows",
        "attempts_within_limits",
        (_TURN, "fail", "failures < step.retry.attempts", "failures <= step.retry.attempts"),
    ),
    mutant(
        "a retry does not wait",
        "attempts_within_limits",
        (_TURN, "fail", "retry_at = self.at + max(wait,", "retry_at = self.at + max(0,"),
    ),
    mutant(
        "calls go out before their decision is durable",
        "calls_committed_first",
        (
            _BELT,
            "_go_on",
            "work.calls.extend(calls)",
            "self._dispatcher.dispatch(calls)",
        ),
    ),
    mutant(
        "a commit that failed is taken for done",
        "nothing_accepted_is_lost",
        (
            _COMMITTER,
            "_commit",
            "self._set_trouble(FULL)",
            "return [None] * len(work.newcomers)",
        ),
    ),
    mutant(
        "the idempotency key changes with the attempt",
        "one_key_for_one_visit",
        (
            context.Context,
            "key",
            "self.visit)",
            "self.visit * 1000 + self.attempt)",
        ),
    ),
    mutant(
        "a recovery gives up attempts whose answers lie in the inbox",
        "callbacks_are_kept",
        (_BELT, "_first_inputs", "Recovered(answered, wakes", "Recovered(wakes"),
    ),
    mutant(
        "a recovery calls again where a later answer is awaited",
        "callbacks_are_kept",
        (
            decide,
            "_recovered",
            'visit.phase == "dispatched"',
            'visit.phase in ("dispatched", "deferred")',
        ),
    ),
    mutant(
        "a message is deleted before its decision",
        "commands_decided_once",
        (
            _BELT,
            "_noticed",
            "moving = self._runs.get(noticed.message.key)\n",
            """moving = self._runs.get(noticed.message.key)
    self._committer.gathering.messages_done.append(noticed.message.id)
""",
        ),
    ),
    mutant(
        "a message that came with its run is decided on again",
        "commands_decided_once",
        (_BELT, "_noticed", " and noticed.message.id not in moving.messages", ""),
    ),
    mutant(
        "the poison guard never counts",
        "poison_is_set_aside",
        (_BELT, "_first_inputs", "stored.crashes >= self._limits.crashes", "False"),
        (_BELT, "_loaded", "stored.crashes >= self._limits.crashes", "False"),
    ),
    mutant(
        "the poison guard never clears",
        "poison_is_set_aside",
        (
            _BELT,
            "_settle",
            "if changed and (status != moving.status or moving.crashes):",
            "if changed and not moving.crashes and status != moving.status:",
        ),
    ),
    mutant(
        "suspects come back all at once",
        "poison_is_set_aside",
        (_LOADER, "_claim_crashed", "allowed = 10 **", "allowed = 10 + 10 **"),
    ),
    mutant(
        "more runs are claimed than there is room for",
        "memory_is_bounded",
        (_LOADER, "_claim_ready", "min(self._runs.room(), self._limits.claim_runs)", "1"),
    ),
    mutant(
        "no room is kept for the runs of a claim that is under way",
        "memory_is_bounded",
        (_LOADER, "_claim", "self._runs.reserved = limit", "pass"),
    ),
    mutant(
        "the state in memory keeps what its journal gives up",
        "replay_equals_state",
        (
            run,
            "_step_started",
            "visit.error = None",
            "visit.error = None if inputs is None else visit.error",
        ),
    ),
    mutant(
        "beginning again after a full store counts as progress",
        "poison_is_set_aside",
        (_BELT, "_posted", "type(input) in (Recovered, Parked)", "type(input) is Parked"),
    ),
    mutant(
        "deadlines are forgotten after a recovery",
        "everything_ends",
        (
            moving.Timers,
            "watch",
            "if at is None or ",
            "if at is None or moving.crashes or ",
        ),
    ),
    mutant(
        "suspects that an earlier start did not get to are forgotten",
        "everything_ends",
        (
            node.Node,
            "join",
            "return await self.store.join()",
            """recovered = await self.store.join()
    self.loader._has_suspects = recovered > 0
    return recovered""",
        ),
    ),
    mutant(
        "a run that nobody owns is not expected",
        "everything_ends",
        (_COMMITTER, "_act", "self._expect(min(ready))", "pass"),
        (_LOADER, "_look_ahead", "self.expect(next_at)", "pass"),
    ),
    between_nodes(
        "no fencing",
        "only_owners_decide",
        (disk.Disk, "fence", "member is None or member.has_ended", "member is None"),
    ),
    between_nodes(
        "the lease is read from the local clock",
        "leases_are_kept",
        (
            store.SimulatedStore,
            "beat",
            "self._disk.beat(me, self._now())",
            "self._disk.beat(me, self._local_now())",
        ),
    ),
    between_nodes(
        "claim without lock",
        "only_owners_decide",
        (
            store.SimulatedStore,
            "claim",
            "keys, more = await self._write(take, self._doubt())",
            """find = self._disk.find
        keys, more = await self._look(lambda: find(now, limit, crashes, max_bytes))
        await self._write(lambda: self._disk.mark(me, number, keys))
        self._note("took", me, keys)""",
        ),
    ),
    between_nodes(
        "a commit in doubt is given up as not done",
        "nothing_accepted_is_lost",
        (_COMMITTER, "_commit", "is_in_doubt = True", "self._turn_away(work, str(away))"),
    ),
    between_nodes(
        "memory is kept after the lease was lost",
        "only_owners_decide",
        (node.Node, "begin_anew", "self._assemble()", "pass"),
    ),
    mutant(
        "what was drawn is not held",
        "limits_are_kept",
        (gate.Gate, "draw", "self._held += sum(costs[:granted])", "pass"),
        (gate.Gate, "give_back", "self._held -= cost", "pass"),
        (gate.Gate, "ended", "self._spent += requests", "pass"),
    ),
    between_nodes(
        "each node has a bucket of its own",
        "limits_are_kept",
        (
            gate.Gate,
            "draw",
            "drawn = await self._store.draw(self.rule, ask)",
            """fields = {name: getattr(self.rule, name) for name in self.rule.__struct_fields__}
        fields["name"] = f"bucket {id(self._store)}"
        drawn = await self._store.draw(type(self.rule)(**fields), ask)""",
        ),
    ),
    mutant(
        "an outage is a failure",
        "outages_cost_nothing",
        (dispatcher.Dispatcher, "settle", 'call.reached not in ("no", "away")', "True"),
    ),
    mutant(
        "parked steps come back at once",
        "parked_steps_wait",
        (run, "_step_parked", "visit.at = event.until", "visit.at = at + 1"),
    ),
    mutant(
        "a call that is parked goes out as well",
        "parked_steps_wait",
        (
            dispatcher.Dispatcher,
            "_park",
            "breaker = line.breaker",
            "self._send([unit]); breaker = line.breaker",
        ),
    ),
    mutant(
        "nobody looks at parked steps",
        "everything_ends",
        (
            run.Run,
            "next_at",
            "if visit.at and",
            'if visit.at and visit.phase != "parked" and',
        ),
    ),
    between_nodes(
        "nobody looks for the suspects of a node that was taken over",
        "everything_ends",
        (pulse.Pulse, "run", "self._loader.suspect()", "pass"),
    ),
)
