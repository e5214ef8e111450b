//! What a saga may rely on, S1 to S38, and the tests that would fail if it could not.
//!
//! `model.rs` knows the rules and reads the tape of everything that happened; what it checks is
//! proved by the tests that kill, restart and make up sagas. Of PostgreSQL, leases and partitions
//! there is nothing yet: *later*.
//!
//! | | what holds | proved by |
//! |---|---|---|
//! | S1 | `start` is Ok: the saga ends after any crash | `saga/crash.rs::killed_at_any_point_a_saga_ends_as_it_must` `saga/crash.rs::killed_at_any_two_points_every_other_saga_ends_as_it_must` `disk/kill.rs::after_any_number_of_kills_all_that_was_promised_is_there_and_ends` |
//! | S2 | no action before its intent is durable | `saga/crash.rs::killed_at_any_point_a_saga_ends_as_it_must` `saga/random.rs::a_random_saga_comes_to_what_its_program_means` |
//! | S3 | nothing depends on an outcome that is not durable | `saga/crash.rs::killed_at_any_point_a_saga_ends_as_it_must` `saga/crash.rs::killed_at_any_two_points_a_saga_ends_as_it_must` |
//! | S4 | undone: what was attempted and is not clean, when the saga goes backward or asks for it | `saga/random.rs::a_random_saga_comes_to_what_its_program_means` `saga/basics.rs::a_refused_step_has_the_others_undone_in_reverse` `saga/race.rs::a_step_taken_back_on_the_way_is_undone_once_also_where_the_saga_is_given_up` `saga/deadline.rs::a_step_that_waits_for_its_next_attempt_gets_none_after_it` |
//! | S5 | in reverse order of settling, one durable before the next | `saga/race.rs::s05_a_saga_given_up_takes_the_loser_back_as_well_in_the_order_of_settling` `saga/crash.rs::killed_at_any_two_points_a_saga_ends_as_it_must` |
//! | S6 | a taint is cleared by done, never applied, or a verify that answers, and by nothing else | `saga/policies.rs::s06_a_first_call_applied_and_a_second_one_refused_is_never_clean` `saga/policies.rs::s06_a_policys_refusal_after_a_lost_answer_clears_nothing` `saga/panics.rs::s06_a_panic_in_a_step_leaves_its_effect_unknown_and_is_tried_again` `saga/verify.rs::s06_a_verify_that_answers_clears_the_taint_so_that_a_refusal_is_clean_again` `saga/basics.rs::a_refusal_after_a_lost_answer_is_not_clean` `saga/tower_step.rs::a_first_call_applied_and_a_second_one_refused_is_never_clean` |
//! | S7 | an intent without an outcome, when loaded, is a taint | `saga/verify.rs::s07_what_a_death_has_left_in_doubt_is_asked_about_before_it_is_tried_again` `saga/verify.rs::s07_a_death_in_an_attempt_is_an_unknown_outcome_for_all_three` |
//! | S8 | one random key for all attempts of a step and its undo, and for no other step | `saga/retry.rs::s08_all_attempts_of_a_step_and_its_undo_name_the_same_key_and_no_other_step_has_it` `saga/crash.rs::killed_at_any_point_a_saga_ends_as_it_must` |
//! | S9 | one attempt of a step at a time | `saga/crash.rs::killed_at_any_two_points_a_saga_ends_as_it_must` `saga/random.rs::a_random_saga_comes_to_what_its_program_means` `saga/owners.rs::s10_a_saga_taken_up_while_an_operator_looks_at_it_has_one_task` |
//! | S10 | no undo while an action of the saga runs here | `saga/cancel.rs::s10_an_action_under_way_is_waited_for_before_anything_is_undone` `saga/random.rs::a_random_saga_comes_to_what_its_program_means` `saga/owners.rs::s10_a_saga_taken_up_while_an_operator_looks_at_it_has_one_task` |
//! | S11 | after an abort: no step, nothing done, not finished | `saga/restarts.rs::a_saga_that_its_deadline_has_ended_stays_given_up_through_a_restart` `saga/random.rs::a_random_saga_comes_to_what_its_program_means` `saga/crash.rs::killed_at_any_point_a_saga_ends_as_it_must` |
//! | S12 | after a pivot that is done: no abort | `saga/cancel.rs::s12_during_the_pivot_it_waits_for_that_and_is_refused_where_that_is_done` `saga/cancel.rs::s12_after_the_pivot_it_is_refused_and_the_saga_goes_forward` `saga/pivot.rs::s12_that_it_is_done_survives_a_death` `saga/deadline.rs::s12_past_the_pivot_there_is_none` `saga/deadline.rs::s12_a_pivot_under_way_is_waited_for_and_decides` |
//! | S13 | a pivot of unknown outcome is neither undone nor passed | `saga/stuck.rs::s13_what_an_operator_settles_is_heard_by_the_code_and_not_done_again` `saga/pivot.rs::s13_nobody_knows_about_it_means_parked_whatever_the_step_says` `saga/operator/commands.rs::a_pivot_settled_as_done_goes_forward_and_as_not_applied_back` |
//! | S14 | finished and compensated are final: one of them, once | `saga/crash.rs::killed_at_any_two_points_a_saga_ends_as_it_must` `saga/random.rs::a_random_saga_comes_to_what_its_program_means` |
//! | S15 | compensated: nothing stands at participants that honour the contract | `saga/crash.rs::killed_at_any_point_a_saga_ends_as_it_must` `disk/kill.rs::after_any_number_of_kills_all_that_was_promised_is_there_and_ends` |
//! | S16 | finished: each step that is done was applied once | `saga/crash.rs::killed_at_any_point_a_saga_ends_as_it_must` `disk/kill.rs::after_any_number_of_kills_all_that_was_promised_is_there_and_ends` |
//! | S17 | an append with a stale epoch or a used seq writes nothing and disturbs nobody (partitions: later) | `saga/engines.rs::s17_an_engine_whose_sagas_were_taken_over_writes_nothing_more_of_them` `sqlite_store/promises.rs::both_stores_keep_every_promise` `sqlite_store/model.rs::it_answers_like_the_store_in_memory` `saga/operator/commands.rs::a_command_fences_the_engine_that_runs_the_saga` |
//! | S18 | of any number of claims one wins (PostgreSQL: later) | `saga/engines.rs::s18_of_many_engines_one_takes_a_saga_up_and_nothing_is_done_twice` `sqlite_store/promises.rs::both_stores_keep_every_promise` |
//! | S19 | what was appended before a claim is in the journal that it loads (PostgreSQL: later) | `sqlite_store/promises.rs::both_stores_keep_every_promise` `sqlite_store/model.rs::it_answers_like_the_store_in_memory` |
//! | S20 | the replay of any beginning asks for what the journal has, and starts nothing that has an outcome | `saga/golden/told.rs::s20_s34_every_beginning_of_every_golden_journal_is_taken_up_by_the_code_of_today` `saga/random.rs::a_random_saga_comes_to_what_its_program_means` |
//! | S21 | code that asks for anything else: parked, no action, only that written | `saga/misfit.rs::s21_code_that_asks_for_anything_else_parks_the_saga_and_the_right_code_resumes_it` |
//! | S22 | undo works with code that misfits or panics | `saga/misfit.rs::s22_undo_goes_on_with_saga_code_that_misfits_panics_or_is_gone` `saga/misfit.rs::s22_an_operator_can_have_it_undone_whatever_the_code_is` |
//! | S23 | a panic, an undecodable payload, an unknown name parks that saga alone | `saga/panics.rs::s23_a_panic_in_a_sagas_code_parks_that_saga_with_its_text` `saga/panics.rs::s23_a_panic_while_a_saga_is_made_or_dropped_harms_nobody` `saga/structs.rs::s23_a_retry_that_panics_parks_that_saga` `saga/panics.rs::an_input_that_panics_when_it_is_decoded_parks_that_saga_alone` `saga/store_errors.rs::what_is_too_large_for_a_row_parks_its_saga_and_no_other` |
//! | S24 | the same key and input is the same saga; another input is a conflict, and writes nothing | `saga/inputs.rs::s24_inputs_are_compared_by_what_they_mean` `saga/inputs.rs::s24_a_saga_is_the_same_while_it_runs_and_after_it_has_ended_until_it_is_deleted` |
//! | S25 | after a failed write nothing is acknowledged until it is opened anew, and nobody hangs | `disk/inject.rs::a_failing_disk_at_any_write_or_sync_loses_nothing_and_nobody_hangs` `disk/inject.rs::a_full_disk_at_any_write_loses_nothing_and_nobody_hangs` `sqlite_store/crash.rs::a_write_that_fails_closes_the_store_for_everybody_and_loses_nothing` `saga/store_errors.rs::s25_a_store_that_closes_while_nothing_runs_is_told_to_everyone_who_waits` |
//! | S26 | after an I/O error or a kill anywhere: a beginning with every acknowledged row | `disk/inject.rs::a_kill_at_any_write_or_sync_loses_nothing` `disk/inject.rs::a_failing_disk_at_any_write_or_sync_loses_nothing_and_nobody_hangs` `sqlite_store/crash.rs::a_process_killed_at_any_moment_keeps_every_acknowledged_row` |
//! | S27 | an acknowledged signal is delivered once, in order by name | `saga/signals.rs::s27_signals_before_the_start_are_held_by_key_and_come_in_order` `saga/signals.rs::s27_a_signal_that_comes_while_its_saga_is_being_written_down_is_not_overlooked` `saga/signals.rs::s27_a_duplicate_is_delivered_once_also_after_a_restart` `saga/signals.rs::s27_two_waits_of_one_name_take_them_in_the_order_they_were_begun` `saga/signals.rs::s27_a_wait_that_was_dropped_leaves_the_signal_to_the_next` `saga/signals.rs::s27_a_wait_that_was_dropped_stays_so_in_the_replay` `saga/signals.rs::s27_a_wait_that_is_dropped_with_a_signal_that_was_not_looked_at_leaves_it_to_the_next` `saga/continue_as.rs::s27_signals_that_no_wait_has_taken_are_there_in_the_next_run` |
//! | S28 | a timer never fires early and its time never changes | `saga/timers.rs::s28_a_sleep_goes_on_over_restarts_and_its_end_is_fixed_once` `saga/timers.rs::s28_one_that_came_due_while_no_process_ran_fires_at_once` `saga/timers.rs::s28_a_clock_that_is_set_back_delays_it_and_one_set_forward_is_noticed_within_a_minute` `saga/timers.rs::s28_two_that_are_due_at_once_fire_in_the_order_of_their_times` |
//! | S29 | a stuck saga is not claimed; commands are rows and fence | `saga/stuck.rs::s29_a_stuck_saga_is_not_taken_up_by_the_next_engine` `saga/operator/commands.rs::a_command_fences_the_engine_that_runs_the_saga` `saga/operator/table.rs::every_command_in_every_state_answers_as_the_table_says_and_refusals_write_nothing` |
//! | S30 | a drain starts no action and loses no outcome | `saga/drain.rs::s30_actions_under_way_are_written_down_and_none_is_started` `saga/drain.rs::s30_drains_one_after_the_other_at_any_moment_lose_nothing_and_repeat_nothing` `saga/drain.rs::s30_an_undo_under_way_is_written_down_as_well` `saga/owners.rs::s30_drain_waits_for_what_is_just_being_taken_over` |
//! | S31 | a foreign await parks | `saga/foreign.rs::s31_a_foreign_await_parks_the_saga_with_what_to_do` `saga/foreign.rs::s31_a_timeout_of_the_runtime_around_a_long_wait_is_found_out_and_not_forgotten` |
//! | S32 | retention deletes only ended sagas, whole | `saga/retention.rs::a_saga_goes_when_its_time_is_over_whatever_its_end_and_no_sooner` `saga/retention.rs::time_runs_from_the_end_and_what_has_not_ended_is_kept_for_ever` `saga/retention.rs::a_file_loses_ended_sagas_whole_while_its_writers_go_on` |
//! | S33 | a step that is not listed, not serialisable, or not Send does not compile | `compile_fail.rs::mistakes_are_told_readably_and_right_programs_compile` |
//! | S34 | journals of every released version are read, folded and replayed | `../../src/saga/journal/samples.rs::s34_every_event_is_written_as_its_golden_file_has_it` `saga/golden/events.rs::s34_every_golden_event_is_read_and_written_back_byte_for_byte` `saga/golden/events.rs::s34_the_table_of_the_format_has_every_event_and_every_field_and_which_may_be_missing` `saga/golden/told.rs::s34_every_scenario_leaves_the_journal_of_its_golden_file` `saga/golden/told.rs::s34_every_golden_journal_is_read_and_folded_as_it_was` `saga/golden/told.rs::s20_s34_every_beginning_of_every_golden_journal_is_taken_up_by_the_code_of_today` |
//! | S35 | a worker past its lease starts nothing | later: the stores of today have no lease |
//! | S36 | one changed bit in a row is noticed, told with its place, and harms no other saga | `journal.rs::any_one_changed_bit_is_damage` `sqlite_store/damage.rs::one_changed_bit_in_any_column_of_a_row_is_noticed` `sqlite_store/damage.rs::a_damaged_page_parks_the_sagas_on_it_and_no_others` |
//! | S37 | a restart lowers no attempt count and shortens no written wait | `saga/restarts.rs::a_wait_that_is_written_down_is_not_shortened_by_a_restart` `saga/policies.rs::s37_a_restart_neither_shortens_the_wait_for_a_policy_nor_counts_it` `saga/retry.rs::s37_every_death_in_an_attempt_uses_it_and_none_is_given_back` `saga/retry.rs::s37_a_written_wait_is_kept_to_the_millisecond_over_deaths_and_drains` `saga/drain.rs::s37_a_drain_does_not_shorten_the_wait_of_a_saga_that_is_just_being_taken_up` `saga/retry.rs::s37_neither_a_drain_nor_a_death_in_a_short_wait_changes_the_count` `saga/retry.rs::s37_the_attempts_of_a_compensation_survive_as_well` |
//! | S38 | a power cut that drops any unsynced writes leaves every acknowledged row | `disk/power.rs::a_power_cut_at_any_moment_loses_nothing_that_was_promised` `disk/power.rs::a_power_cut_loses_nothing_while_the_wal_is_begun_anew` `disk/power.rs::it_is_found_where_commits_are_not_synced` |
use std::{collections::BTreeMap, fs, path::Path};

/// The table above: by number, what is said of the proof, and the tests in it.
fn table() -> BTreeMap<u32, (String, Vec<(String, String)>)> {
    let rows = include_str!("invariants.rs").lines();
    let rows = rows.filter_map(|line| line.strip_prefix("//! | S"));
    rows.map(|row| {
        let cells: Vec<_> = row.split(" | ").collect();
        let tests = cells[2].split('`').skip(1).step_by(2);
        let tests = tests.map(|test| {
            let (file, name) = test.split_once("::").unwrap();
            (file.to_owned(), name.to_owned())
        });
        let number = cells[0].parse().unwrap();
        (number, (cells[2].to_owned(), tests.collect()))
    })
    .collect()
}

/// The names of the tests in a file.
fn tests_in(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let marks = ["#[test]", "#[tokio::test"];
    let begins = (0..lines.len()).filter(|at| marks.iter().any(|m| lines[*at].starts_with(m)));
    begins
        .filter_map(|at| {
            let rest = lines[at..].iter().take(6);
            let name = rest.clone().find_map(|line| line.split_once("fn "))?;
            name.1.split('(').next().map(str::to_owned)
        })
        .collect()
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all")
}

#[test]
fn every_invariant_has_tests_and_every_test_named_here_exists() {
    let table = table();
    assert_eq!(
        table.keys().copied().collect::<Vec<_>>(),
        (1..=38).collect::<Vec<_>>()
    );
    for (number, (says, tests)) in &table {
        assert_eq!(tests.is_empty(), *number == 35, "S{number}");
        assert!(
            !tests.is_empty() || says.starts_with("later"),
            "S{number}: {says}"
        );
        for (file, name) in tests {
            let text = fs::read_to_string(folder().join(file));
            let text = text.unwrap_or_else(|e| panic!("S{number}: {file}: {e}"));
            assert!(
                tests_in(&text).contains(name),
                "S{number}: no test {name} in {file}"
            );
            // A file that is no module is not run.
            let module = Path::new(file).file_stem().unwrap().to_str().unwrap();
            let above = Path::new(file).parent().unwrap();
            let above = if above == Path::new("") {
                Path::new("main")
            } else {
                above
            };
            let above = fs::read_to_string(folder().join(above).with_extension("rs")).unwrap();
            assert!(
                above.contains(&format!("mod {module};")),
                "{file} is not declared"
            );
        }
    }
}

#[test]
fn every_test_that_has_the_number_of_an_invariant_in_its_name_is_in_the_table() {
    let table = table();
    let mut folders = vec![folder().join("saga")];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            for name in tests_in(&fs::read_to_string(&path).unwrap()) {
                let numbers = name.split('_').map_while(|part| part.strip_prefix('s'));
                for number in numbers.map_while(|digits| digits.parse::<u32>().ok()) {
                    found += 1;
                    let known = table[&number].1.iter().any(|(_, known)| *known == name);
                    assert!(known, "S{number}: {name} is not in the table");
                }
            }
        }
    }
    assert!(found > 40, "{found}");
}
