"""A server under mixed traffic for minutes: is each answer right, and does anything grow?"""
