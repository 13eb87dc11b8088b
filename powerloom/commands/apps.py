from django.apps import AppConfig


class CommandsConfig(AppConfig):
    name = "powerloom.commands"
    label = "commands"
