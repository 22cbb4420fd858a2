"""A model for the OpenAI Agents SDK that says what it is told to, without a network."""

import asyncio

from agents import Model, ModelResponse, Usage
from openai.types.responses import ResponseOutputMessage, ResponseOutputText


class ScriptedModel(Model):
    """Answers the n-th question with `answer(n-th input)`, after `thinking`."""

    def __init__(self, answer, thinking=None):
        self.answer = answer
        self.thinking = thinking or (lambda: asyncio.sleep(0))

    async def get_response(self, system_instructions, input, *arguments, **options):
        await self.thinking()
        text = ResponseOutputText(text=self.answer(input), type="output_text", annotations=[], logprobs=[])
        said = ResponseOutputMessage(
            id="scripted", content=[text], role="assistant", status="completed", type="message"
        )
        return ModelResponse(output=[said], usage=Usage(), response_id=None)

    def stream_response(self, *arguments, **options):
        raise NotImplementedError("the script does not stream")
