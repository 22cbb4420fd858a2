"""Agents without a model, and what the tests say of items and tasks."""

import asyncio
import contextvars
import pathlib
import sys

from agents import Agent, ModelResponse, Usage, set_tracing_disabled
from openai.types.responses import Response, ResponseCompletedEvent, ResponseFunctionToolCall

EXAMPLES = pathlib.Path(__file__).parents[3] / "examples"
sys.path.insert(0, str(EXAMPLES))
from scripted_model import ScriptedModel  # noqa: E402

set_tracing_disabled(True)


def item(text, role="user"):
    return {"role": role, "content": text}


def texts(items):
    return [one["content"] if isinstance(one["content"], str) else one["content"][0]["text"] for one in items]


def in_a_task_of_its_own(coroutine):
    return asyncio.create_task(coroutine, context=contextvars.Context())


def answering(model):
    return Agent(name="scripted", model=model)


def count_items(input):
    return f"I have seen {len(input)}"


class CallingModel(ScriptedModel):
    """Calls a tool first, and says something then; also as a stream."""

    async def get_response(self, system_instructions, input, *arguments, **options):
        if input[-1].get("type") == "function_call_output":
            return await super().get_response(system_instructions, input, *arguments, **options)
        call = ResponseFunctionToolCall(
            id="call", call_id=f"call {len(input)}", name="look", arguments="{}", type="function_call"
        )
        return ModelResponse(output=[call], usage=Usage(), response_id=None)

    async def stream_response(self, *arguments, **options):
        answer = await self.get_response(*arguments, **options)
        response = Response(
            id="scripted",
            created_at=0,
            model="scripted",
            object="response",
            output=answer.output,
            tool_choice="none",
            tools=[],
            parallel_tool_calls=False,
        )
        yield ResponseCompletedEvent(type="response.completed", sequence_number=0, response=response)
