"""The providers' protocols, translated from and to OpenAI's."""
