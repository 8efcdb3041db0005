"""OpenAI's Responses interface: its requests, its answers, and the events of its streams. Pure.

The names and the order of events are those of OpenAI's API reference ("Streaming events").
"""
