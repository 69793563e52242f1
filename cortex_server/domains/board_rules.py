"""What the work of agents does to the board: a ticket goes on to the column that a setting names.

A rule moves a ticket forward only. Where a person has put it further on meanwhile, it stays.
"""

from typing import Literal

from cortex_server.domains import project_rows, settings, tickets
from cortex_server.events.work import Attempt
from cortex_server.store import WriteTx

Rule = Literal["started_moves_to", "succeeded_moves_to", "merged_moves_to"]


def apply(tx: WriteTx, attempt: Attempt, rule: Rule) -> None:
    """Move the attempt's ticket by the rule, to the end of the column.

    Nothing happens when the setting is empty or names no column, when the ticket is there or
    further on already, or is archived.
    """
    project = project_rows.get(tx, attempt.project)
    target = settings.project_values(tx, project)[rule]
    order = [column.name for column in project.columns]
    ticket = tickets.get(tx, attempt.ticket)
    if ticket.archived or target not in order:
        return
    if order.index(ticket.status) < order.index(target):
        tickets.move(tx, ticket, target, None, None)
