"""score-lead: `beltline worker workers/score_lead.py --http 127.0.0.1:9001` serves it."""

from typing import Annotated

from beltline.sdk import Config, Context, Example, Module, Output, Reject, field


class ScoreConfig(Config):
    """What the step is given."""

    question: Annotated[str, field("Question", "What the person asks.")]


class ScoreOutput(Output):
    """What it adds to the document."""

    score: Annotated[int, field("Score", "From 0 to 10.")]


async def score(config: ScoreConfig, context: Context) -> ScoreOutput | Reject:
    """More words promise more."""
    if "unsubscribe" in config.question:
        return Reject("this person wants nothing from us")
    return ScoreOutput(score=min(10, len(config.question.split())))


module = Module(
    name="score-lead",
    version=1,
    summary="Score a question.",
    category="site",
    icon="gauge",
    effect="idempotent",
    config=ScoreConfig,
    output=ScoreOutput,
    handler=score,
    examples=(Example("Two words", {"question": "How much?"}, {"score": 2}),),
)
