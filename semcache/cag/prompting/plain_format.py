"""The conversation format for models without a chat template (GPT-2 and other base models).

    <system text>

    User: <text>
    Assistant: <text>
    User: <text>
    Assistant:

The model goes on after the last "Assistant:"; where it begins to write the user's next turn, the
answer ends.
"""

from __future__ import annotations

PLAIN_STOP = "\nUser:"
PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ message.content + '\\n\\n' }}"
    "{% elif message.role == 'user' %}{{ 'User: ' + message.content + '\\n' }}"
    "{% else %}{{ 'Assistant: ' + message.content + '\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
