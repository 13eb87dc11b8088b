"""The kinds of the closed list whose template this installation does not have: their titles and descriptions."""

from __future__ import annotations

ABSENT: dict[str, tuple[str, str]] = {
    "github": ("GitHub", "Repositories, issues and pull requests."),
    "google_drive": ("Google Drive", "Files and folders of a drive."),
    "notion": ("Notion", "Pages and databases of a workspace."),
    "jira": ("Jira", "Issues and projects."),
    "confluence": ("Confluence", "Pages and spaces."),
    "microsoft365": ("Microsoft 365", "Mail, calendars and documents."),
    "salesforce": ("Salesforce", "Accounts, contacts and opportunities."),
    "zendesk": ("Zendesk", "Tickets and their conversations."),
    "hubspot": ("HubSpot", "Contacts, companies and deals."),
    "linear": ("Linear", "Issues, projects and cycles."),
}
