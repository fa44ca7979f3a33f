"""Controls of what sockets carry."""

from __future__ import annotations

from typing import Final

from .shape import Control, Red

CONTROLS: Final = [
    Control(
        name="events-lost",
        breaks="the results of tools reach no subscriber",
        process="events-lost",
        reds=[
            Red(
                "websocket/event delivery",
                "websocket/test_event_delivery.py::"
                "test_five_events_of_each_run_are_delivered_in_order",
                r"seen == \[log",
            ),
            Red(
                "websocket/load",
                "websocket/test_load.py::test_ten_users_get_all_events_of_three_rounds",
                r"events == \[",
            ),
        ],
    ),
    Control(
        name="one-channel",
        breaks="what is told to one thread's subscribers is told to everybody's",
        process="one-channel",
        reds=[
            Red(
                "websocket/multi-user isolation",
                "websocket/test_multi_user.py::test_three_users_see_only_their_own_events",
                r"kinds\(frames\) == FIVE",
            ),
            Red(
                "websocket/multi-user isolation",
                "websocket/test_multi_user.py::test_many_sockets_carry_no_foreign_event",
                r"each.foreign for each in listeners\] ==",
            ),
        ],
    ),
    Control(
        name="told-before-commit",
        breaks="subscribers hear of an event a moment before it is committed",
        process="told-before-commit",
        processes=2,
        reds=[
            Red(
                "websocket/state synchronisation",
                "websocket/test_state_synchronisation.py::"
                "test_six_states_are_read_through_the_other_process",
                r"instead of",
            ),
        ],
    ),
    Control(
        name="resume-skips",
        breaks="who comes back with a cursor misses the first entry after it",
        process="resume-skips",
        reds=[
            Red(
                "websocket/error handling",
                "websocket/test_error_handling.py::test_a_drop_after_any_event_loses_none",
                r"not the next event",
            ),
        ],
    ),
    Control(
        name="bad-frames-close",
        breaks="a malformed frame closes its socket",
        process="bad-frames-close",
        reds=[
            Red(
                "websocket/error handling",
                "websocket/test_error_handling.py::"
                "test_malformed_frames_are_answered_and_change_nothing",
                r"received 1008",
            ),
        ],
    ),
    Control(
        name="any-order",
        breaks="events of a run are taken in whatever order they come",
        process="any-order",
        reds=[
            Red(
                "websocket/error handling",
                "websocket/test_error_handling.py::test_events_out_of_order_are_refused",
                r"/events: 200",
            ),
        ],
    ),
    Control(
        name="no-bound",
        breaks="whatever a reader does not take is kept for it",
        process="no-bound",
        reds=[
            Red(
                "websocket/load",
                "websocket/test_load.py::test_who_does_not_read_is_closed_and_others_do_not_notice",
                r"was not closed",
            ),
        ],
    ),
]
