"""Hostile input through every public function: an answer of finite numbers, or a named error."""
