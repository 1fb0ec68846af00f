"""Expo's push service, which delivers messages to iOS and Android (contract 7.2)."""
