"""Conversations: how rows hold them, and how a chat template makes texts of them."""
