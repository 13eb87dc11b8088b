"""The console above the apps: shell, navigation, home, audit list, error pages. Each app renders its own rooms."""
