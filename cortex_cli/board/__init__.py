"""The live kanban board in the terminal.

    terminal (the only curses)    effects (threads, the SDK)
              \\                    /
               update  ->  view            pure: no curses, no SDK, no clock, no network
              /   |   \\       \\
         apply  moves  keymap  layout, canvas
                       keys, settings
         logs   agents answers  document, dashboard_lines
              \\   |    |      /
          wire, work, model, messages, asks, text

`update(model, message) -> (model, effects)` says what happens, `view(model, width, height) -> rows`
what it looks like. Everything that waits runs in a thread and comes back as a message.
"""
