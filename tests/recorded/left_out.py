"""Recordings of the same collection that no test replays, and why.

The collection is of LocalStack, of index pages and of issues, see ``source`` in each file of this folder. A recording
that is replayed later leaves this table: a test sees to that.
"""

from __future__ import annotations

LEFT_OUT: dict[str, dict[str, str]] = {
    "cloudformation/bucket-policy.json": {
        "aws-samples/aws-cdk-examples#1022": "The same answer as the recording that is replayed, from other threads.",
        "cluster-api-provider-aws": "A pattern in a role's policy, which the shipped templates do not use.",
    },
    "dynamodb/conditions.json": {
        "test_transaction_write_canceled": "Nothing here writes in transactions.",
    },
    "ecr/registry-http.json": {
        "index id 56905246540": "Not done yet: an excerpt without a status.",
    },
    "events/archive-and-replay.json": {
        "test_start_replay_error_unknown_archive": "The product starts no replay; an operator does, by hand.",
        "test_start_replay_error_unknown_event_bus": "The same.",
        "test_start_replay_error_duplicate_name_same_archive": "The same.",
        "tests_concurrency_error_too_many_active_replays": "The same.",
        "test_create_list_describe_update_delete_archive[custom]": "Archives are made by CloudFormation alone.",
    },
    "events/cross-account-region.json": {
        "[default-account]": "Not done yet: events between accounts are held to it in test_local_events only.",
        "[default-region]": "The local AWS has one Region.",
        "[default-region_account]": "The local AWS has one Region.",
        "[custom-region]": "The local AWS has one Region.",
        "[custom-region_account]": "The local AWS has one Region.",
        "test_put_events[custom-account]": "Nothing puts events straight on a bus of another account.",
    },
    "events/permissions-and-rules.json": {
        "test_put_permission[custom]": "Policies of buses are made by CloudFormation alone.",
        "test_put_list_with_prefix_describe_delete_rule[custom]": "Rules are made by CloudFormation alone.",
    },
    "events/put-events.json": {
        "test_put_events_exceed_limit_ten_entries[custom]": "Nothing puts more than one entry at a time.",
        "test_put_events_response_entries_order": "The same.",
    },
    "lambda/invoke-errors.json": {
        "test_lambda_concurrency_block": "The local AWS lets an invocation wait instead; its module says so.",
        "test_lambda_runtime_exit_segfault": "Lambda began the process anew for 30 seconds; a race of the service.",
    },
    "lambda/sqs-event-source.json": {
        "test_report_batch_item_failures": "Not done yet.",
        "test_report_batch_item_failures_on_lambda_error": "Not done yet.",
        "test_report_batch_item_failures_invalid_result_json_batch_fails": "Not done yet.",
        "test_report_batch_item_failures_empty_json_batch_succeeds": "Not done yet.",
        "test_failing_lambda_retries_after_visibility_timeout": "Not done yet.",
        "test_sqs_event_source_mapping": "Mappings are made by CloudFormation alone.",
    },
    "s3/errors-inside-200.json": {
        "the same file, test_mpu_no_checksum_complete_good_checksum": "The answer is that it varies.",
        "handlers.py _handle_200_error": "Code of botocore, no answer of AWS.",
    },
    "s3/moto-aws-verified.json": {
        "test_archive_actual_events": "Of EventBridge: the managed rule of an archive, which nothing here reads.",
    },
    "sagemaker/describe.json": {
        "AWS guide": "Names of members alone; a version that was updated is replayed from elsewhere.",
        "describe_success.json": "A package without a group, which the product excludes.",
        "Ansible collection amazon.ai": "A hint, no answer.",
    },
    "sagemaker/errors.json": {
        "index id 54754110424": "It has no error, only that the call was refused.",
        "aws/sagemaker-python-sdk#4492": "It has no error, only that the call was refused.",
        "getmoto/moto#7165": "Parts of messages, without a code.",
        "index ids 4936812933": "A package without a group, which the product excludes.",
    },
    "sqs/access-denied.json": {
        "sqs.GetQueueAttributes_1.json": "Of the former protocol of SQS, with its former message.",
        "events.DescribeRule_1.json": "Nothing describes rules.",
    },
    "sqs/dead-letters.json": {
        "test_redrive_policy_with_failing_lambda": "The same count and id are replayed without a function.",
    },
    "sqs/move-tasks.json": {
        "test_move_task_cancel": "Its counts depend on when the task is cancelled.",
    },
    "stepfunctions/lambda-errors.json": {
        "test_no_such_function": "Its recorded history is that of a function that raises.",
        "TestTaskServiceLambda::test_raise_custom_exception": "The definitions name functions, not lambda:invoke.",
        "TestTaskServiceLambda::test_invoke_timeout": "The same.",
        "test_fixed_timeout_service_lambda": "The same.",
        "test_global_timeout": "Not done yet; that the execution is TIMED_OUT is tried in test_local_state_machines.",
    },
    "stepfunctions/start-execution.json": {
        "test_describe_execution_no_such_state_machine": "The text of an exception of boto3, no answer.",
    },
    "sts/assume-role-tags.json": {
        "test_assume_role_tag_validation": "Not done yet: tags that differ in case alone.",
        "test_sts_invalid_parameters": "Not done yet: names of sessions that STS refuses.",
        "test_iam_role_chaining_override_transitive_tags": "No role that was assumed assumes another one.",
    },
}
"""By file: the end or a part of each recording's name, and why no test replays it."""
