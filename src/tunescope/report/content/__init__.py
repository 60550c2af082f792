"""Findings -> what a report says, whatever it is read on: sections of sentences, tables and charts."""
