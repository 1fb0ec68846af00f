export interface paths {
    "/api/projects/{project_id}/tasks/{task_id}/presence": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Report that a device shows a task
         * @description Count one of the caller's devices as watching the task for the next 60 seconds.
         *
         *     Call this operation about every 30 seconds. While the device is also focused, pushes to the caller about the task
         *     are deferred. They are sent 5 seconds after the presence has expired, unless the event was seen or the question was
         *     answered.
         *
         *     **Scope:** `task:write`
         */
        post: operations["tasks_presence_create"];
        /**
         * End the presence of a device
         * @description End the presence of a device on a task at once.
         *
         *     The response is 204 even if the device was not watching, or belongs to another user. Deferred pushes about events
         *     that the person has seen are dropped. If the device has reported `seen_seq`, the number of the last event that it
         *     has shown, these are the events up to that number. Otherwise, if the device was focused, they are all events until
         *     now.
         *
         *     **Scope:** `task:write`
         */
        delete: operations["tasks_presence_destroy"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/viewers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the viewers of tasks
         * @description Return the members of the project who look at a task that the caller can see, each with that task.
         *
         *     A member looks at a task while one of their devices shows it in focus. The list includes the caller. It has at most
         *     500 entries, sorted by the last report of a device about them, latest first. Poll at most every 30 seconds.
         *
         *     **Scope:** `task:read`
         */
        get: operations["viewers_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tasks
         * @description Return the tasks of the project that the caller can see, newest first, each with its latest run.
         *
         *     All filters apply together; `count` is the number of matching tasks. By default, tasks that are archived or
         *     marked as internal are omitted.
         *
         *     **Scope:** `task:read`
         */
        get: operations["tasks_list"];
        put?: never;
        /**
         * Create a task
         * @description Create a task. Every field is optional. This starts no run: use `POST …/tasks/{task_id}/run`.
         *
         *     **Scope:** `task:write`
         */
        post: operations["tasks_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/repositories": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the repositories of tasks
         * @description Return the repositories of the tasks that the caller can see, sorted. Tasks with `internal` set are left out.
         *
         *     **Scope:** `task:read`
         */
        get: operations["tasks_repositories_retrieve"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/summaries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Summarise tasks
         * @description Return title, repository and status of the tasks with the given ids. A request has at most 5000 ids.
         *
         *     Tasks that the caller cannot see are left out.
         *
         *     **Scope:** `task:read`
         */
        post: operations["tasks_summaries_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Retrieve a task
         * @description Return a task with its latest run.
         *
         *     **Scope:** `task:read`
         */
        get: operations["tasks_retrieve"];
        /**
         * Update a task (as PATCH)
         * @description Update a task exactly as PATCH does: every field is optional, and only the given fields change.
         *
         *     **Scope:** `task:write`
         */
        put: operations["tasks_update"];
        post?: never;
        /**
         * Delete a task
         * @description Delete a task permanently.
         *
         *     Its number is not used again. If one of its runs is in progress, that run continues to its end.
         *
         *     **Scope:** `task:write`
         */
        delete: operations["tasks_destroy"];
        options?: never;
        head?: never;
        /**
         * Update a task
         * @description Update a task: only the given fields change.
         *
         *     The fields `origin_product`, `signal_report` and `signal_report_task_relationship` are fixed when the task is
         *     created: in an update, they are validated and then ignored.
         *
         *     **Scope:** `task:write`
         */
        patch: operations["tasks_partial_update"];
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/run": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Run a task
         * @description Start a cloud run of the task and return the task with its new latest run.
         *
         *     An empty body selects all defaults. The run is queued; when a worker has a free slot, it performs the run
         *     in a sandbox. Follow the run's `stream`, or poll the run.
         *
         *     **Scope:** `task:write`
         */
        post: operations["tasks_run_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the runs of a task
         * @description Return the runs of a task, newest first.
         *
         *     **Scope:** `task:read`
         */
        get: operations["tasks_runs_list"];
        put?: never;
        /**
         * Create a run
         * @description Create a run without starting it: the client performs it itself (`local`), or starts it later (`cloud`).
         *
         *     **Scope:** `task:write`
         */
        post: operations["tasks_runs_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Retrieve a run
         * @description Return a run: its status, output, error, log and artifacts.
         *
         *     **Scope:** `task:read`
         */
        get: operations["tasks_runs_retrieve"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Update a run
         * @description Update a run: only the given fields change; `output` and `state` are merged, one level deep.
         *
         *     Set `status` to `cancelled` to stop a run: its agent ends within two seconds. A run that is over keeps its
         *     status. If a run acts with a member's GitHub account or private sandbox environment, only that member may
         *     change the fields that affect its agent: `state`, `branch`, and a status that starts the run again.
         *
         *     **Scope:** `task:write`
         */
        patch: operations["tasks_runs_partial_update"];
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/set_output": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Set the output of a run
         * @description Replace the output of the run; if the task has a `json_schema`, the output must satisfy it.
         *
         *     **Scope:** `task:write`
         */
        patch: operations["tasks_runs_set_output_partial_update"];
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/start": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Start a run that was created
         * @description Request that a worker performs a cloud run that has not begun.
         *
         *     The request can be repeated until a worker has claimed the run. A run that acts with a member's GitHub account or
         *     private sandbox environment can be started only by that member.
         *
         *     **Scope:** `task:write`
         */
        post: operations["tasks_runs_start_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/resume_in_cloud": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Resume a run in the cloud
         * @description Request that a worker performs a finished run again, or takes over a run that a client performs.
         *
         *     A run that acts with a member's GitHub account or private sandbox environment can be resumed only by that member.
         *
         *     **Scope:** `task:write`
         */
        post: operations["tasks_runs_resume_in_cloud_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/connection_token": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a token for one run
         * @description Return a token that gives access to this run only.
         *
         *     It is for a program without an API key, such as an agent outside the workers.
         *
         *     **Scope:** `task:write`
         */
        get: operations["tasks_runs_connection_token_retrieve"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/append_log": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Append to the log of a run
         * @description Append entries to the log of the run: all of them or none, even if other clients write at the same time.
         *
         *     **Scope:** `task:write`
         */
        post: operations["tasks_runs_append_log_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/relay_message": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Relay a message of the agent
         * @description Write a message of the agent to the log of the run, to be relayed to a chat.
         *
         *     The message is stored in the log, but it is not relayed, because no chat is connected to this service: the status is
         *     always `skipped`.
         *
         *     **Scope:** `task:write`
         */
        post: operations["tasks_runs_relay_message_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the whole log
         * @description Return the whole log of the run as JSON lines, after the logs of the runs that it resumes.
         *
         *     If `Accept` is exactly `text/plain`, the same lines are returned with this content type.
         *
         *     **Scope:** `task:read`
         */
        get: operations["tasks_runs_logs_retrieve"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/session_logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the log page by page
         * @description Return the log entries that match the filters, oldest first, from the run and from the runs that it resumes.
         *
         *     A page of large entries can have fewer than `limit`; only `X-Has-More` shows whether it is the last page.
         *
         *     **Scope:** `task:read`
         */
        get: operations["tasks_runs_session_logs_retrieve"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow a run live
         * @description Stream the past events of the run and then its new events live, as server-sent events.
         *
         *     Each `data` is a JSON object: a log entry as in `session_logs`, a part of a message that the agent is still writing,
         *     or a `task_run_state` whenever the run changes. The stream ends after the final state of the run, or after an hour:
         *     reconnect with the last `id` as `Last-Event-ID`, as browsers do by themselves. Two other events are possible:
         *     `keepalive` after 20 seconds without an event, and `gap` for missing events, with their number (`lost`, null if
         *     unknown) and the URL of the log.
         *
         *     **Scope:** `task:read`
         */
        get: operations["tasks_runs_stream_retrieve"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/event_stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send the events of an agent
         * @description Accept numbered events of an agent outside the service's workers; a repeated event is ignored.
         *
         *     The body has one event per line, as JSON. Log entries (`type: notification`) are added to the log of the run, and
         *     all events are sent to its followers. Keep the request open and send events as they happen, or send them in batches.
         *     After a failure, send an empty body to get the number of the last accepted event, and continue after it. If a line
         *     is invalid, the error names it, and the lines before it are accepted. An event with an `event_id` that was accepted
         *     before, here or by `append_log`, is a repetition. The run fails if its agent is silent for too long.
         */
        post: operations["tasks_runs_event_stream_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/command": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a command to a running agent
         * @description Send a command to the agent of a live run.
         *
         *     - `user_message`: a message for the agent. While the agent is busy, messages are queued; it gets them in
         *       order, each after it has finished with the previous one.
         *     - `cancel`: end the current turn. A background run without a queued message then ends as `cancelled`; an
         *       interactive run waits for the next message.
         *     - `close`: end the conversation. A run that waits for a message is completed with its work so far; in the
         *       middle of a turn it is cancelled, and all processes of the agent end within two seconds.
         *     - `permission_response`: answer the request in the run's `state.waiting_for`. Only the first answer is used.
         *     - `set_config_option`: set an option of the agent, such as its `mode` or `model`.
         *
         *     A run that acts with a member's GitHub account or private sandbox environment accepts `cancel` and `close` from
         *     every member of the project, and the other commands from that member alone.
         *
         *     The response does not wait for the agent. The progress of the command is written to the log and the stream of the
         *     run, as entries of the method `_taskbeacon/command`: `accepted`, `delivered`, then `consumed`, or `dropped` with a
         *     `reason`.
         *
         *     **Scope:** `task:write`
         */
        post: operations["tasks_runs_command_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/staged_artifacts/prepare_upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Prepare uploads for the next run
         * @description Return a signed form for each file. The client uploads the file with it to object storage within an hour.
         *
         *     POST the form's fields verbatim, then the file as the part `file`, to the form's `url`; no API key is needed there.
         *     Then call `finalize_upload`: without it the run does not get the file. A file has at most 30 MB, a PDF that is
         *     attached for the agent (`user_attachment`) at most 10 MB.
         *
         *     **Scope:** `task:write`
         */
        post: operations["tasks_staged_artifacts_prepare_upload_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/staged_artifacts/finalize_upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Finalise uploads for the next run
         * @description Verify the uploaded files and store them for 24 hours, so that a run can use them: all of them, or none.
         *
         *     Send the ids to `POST …/run` as `pending_user_artifact_ids`: exactly one run can use a file. Calling this operation
         *     again renews the 24 hours.
         *
         *     **Scope:** `task:write`
         */
        post: operations["tasks_staged_artifacts_finalize_upload_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/artifacts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Upload small files to a run
         * @description Add files to the run, with their contents in the request's body, and return all files of the run.
         *
         *     For larger files, use `prepare_upload`.
         *
         *     **Scope:** `task:write`
         */
        post: operations["tasks_runs_artifacts_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/artifacts/prepare_upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Prepare uploads to a run
         * @description Return a signed form for each file. The client uploads the file with it to object storage within an hour.
         *
         *     **Scope:** `task:write`
         */
        post: operations["tasks_runs_artifacts_prepare_upload_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/artifacts/finalize_upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Finalise uploads to a run
         * @description Verify the uploaded files and add them to the run: all of them, or none.
         *
         *     If the request is repeated, no file is added twice.
         *
         *     **Scope:** `task:write`
         */
        post: operations["tasks_runs_artifacts_finalize_upload_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/artifacts/presign": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Get a download URL of a file
         * @description Return a URL from which a file of the run can be downloaded without an API key. The URL is valid for an hour.
         *
         *     **Scope:** `task:read`
         */
        post: operations["tasks_runs_artifacts_presign_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/artifacts/download": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Download a file (path in the query)
         * @description Return a file of the run, or of a run that it resumes. `Range` and `If-Range` are supported.
         *
         *     **Scope:** `task:read`
         */
        get: operations["tasks_runs_artifacts_download_retrieve"];
        put?: never;
        /**
         * Download a file (path in the body)
         * @description Return a file of the run, or of a run that it resumes. `Range` and `If-Range` are supported.
         *
         *     **Scope:** `task:read`
         */
        post: operations["tasks_runs_artifacts_download_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/diff": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Retrieve the changes of a run
         * @description Return the files that the run changed, from its patch (`changes.patch`), in pages of at most 2 MB.
         *
         *     A run that has changed nothing or has not ended has no files.
         *
         *     **Scope:** `task:read`
         */
        get: operations["tasks_runs_diff_retrieve"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/sandbox_environments": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List sandbox environments
         * @description Return the sandbox environments that the caller may use, newest first: shared ones and the caller's own.
         *
         *     **Scope:** `task:read`
         */
        get: operations["sandbox_environments_list"];
        put?: never;
        /**
         * Create a sandbox environment
         * @description Create a sandbox environment. A run selects it by `sandbox_environment_id`. It is private by default.
         *
         *     Values of variables are stored encrypted and never returned; the agent of a run receives them, and may print them.
         *
         *     **Scope:** `task:write`
         */
        post: operations["sandbox_environments_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/sandbox_environments/{environment_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Retrieve a sandbox environment
         * @description Return a sandbox environment. A private environment of another user is answered with 404.
         *
         *     **Scope:** `task:read`
         */
        get: operations["sandbox_environments_retrieve"];
        put?: never;
        post?: never;
        /**
         * Delete a sandbox environment
         * @description Delete a sandbox environment and its variables. Waiting runs that use it will fail.
         *
         *     **Scope:** `task:write`
         */
        delete: operations["sandbox_environments_destroy"];
        options?: never;
        head?: never;
        /**
         * Update a sandbox environment
         * @description Update a sandbox environment: only the given fields change, for runs that start from now on.
         *
         *     Lists and variables are replaced as a whole.
         *
         *     **Scope:** `task:write`
         */
        patch: operations["sandbox_environments_partial_update"];
        trace?: never;
    };
    "/api/projects/{project_id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List events
         * @description Return the events of the tasks that the caller can see, oldest first, beginning after the position `after`.
         *
         *     Events of deleted tasks are included. Continue with `next_after`: no event is skipped or repeated. An event is
         *     listed only when all changes that began earlier are complete, so it may appear a moment after its own change. Events
         *     are kept for 30 days unless the operator configures another time.
         *
         *     **Scope:** `task:read`
         */
        get: operations["events_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/events/stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow the events of a project live
         * @description Stream the events of one or more topics live: the project's tasks, the caller's inbox, or single runs.
         *
         *     The response has server-sent events (frames). A frame without a line `event:` has an event in the form in which the
         *     list of events shows it; a frame with `event: run:<id>` has an event of that run's stream. Without `Last-Event-ID`,
         *     the stream starts with events of tasks from now on, and with the first event of each run. With it, every topic
         *     continues after the frame with that id: the id contains the position in each topic. `gap` reports missing events and
         *     their topic; `keepalive` is sent after 20 seconds without an event. After 15 minutes `event: end` closes the stream:
         *     reconnect with the last id.
         *
         *     **Scope:** `task:read`
         */
        get: operations["events_stream_retrieve"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/webhook_event_types": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List event types
         * @description Return the event types that a webhook endpoint can subscribe to, with JSON Schemas of their bodies.
         *
         *     **Scope:** `webhook:read`
         */
        get: operations["webhook_event_types_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/webhook_endpoints": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List webhook endpoints
         * @description Return the caller's own webhook endpoints in the project, newest first.
         *
         *     **Scope:** `webhook:read`
         */
        get: operations["webhook_endpoints_list"];
        put?: never;
        /**
         * Create a webhook endpoint
         * @description Create a webhook endpoint: a URL to which events are sent according to the Standard Webhooks specification.
         *
         *     Messages are signed, and retried until the URL answers with 2xx. The endpoint gets the events that the caller can
         *     see when they happen. A project has at most 20 endpoints. No request is sent to the URL now: use `ping` to check
         *     that it can be reached.
         *
         *     **Scope:** `webhook:write`
         */
        post: operations["webhook_endpoints_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/webhook_endpoints/{endpoint_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Retrieve a webhook endpoint
         * @description Return a webhook endpoint of the caller, with its recent successes and failures.
         *
         *     **Scope:** `webhook:read`
         */
        get: operations["webhook_endpoints_retrieve"];
        put?: never;
        post?: never;
        /**
         * Delete a webhook endpoint
         * @description Delete a webhook endpoint with its secret, its deliveries and their attempts.
         *
         *     **Scope:** `webhook:write`
         */
        delete: operations["webhook_endpoints_destroy"];
        options?: never;
        head?: never;
        /**
         * Update a webhook endpoint
         * @description Update a webhook endpoint: only the given fields change.
         *
         *     Disabling it cancels its pending deliveries.
         *
         *     **Scope:** `webhook:write`
         */
        patch: operations["webhook_endpoints_partial_update"];
        trace?: never;
    };
    "/api/projects/{project_id}/webhook_endpoints/{endpoint_id}/rotate_secret": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Replace the secret of a webhook endpoint
         * @description Replace the signing secret of a webhook endpoint, and return the new one.
         *
         *     Until the old secret expires, every message is signed with both secrets.
         *
         *     **Scope:** `webhook:write`
         */
        post: operations["webhook_endpoints_rotate_secret_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/webhook_endpoints/{endpoint_id}/ping": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a test message to a webhook endpoint
         * @description Send a message of the type `ping` to a webhook endpoint, even if the endpoint is disabled.
         *
         *     The response does not wait for the message: retrieve its delivery for the result. A second ping within a second is
         *     refused.
         *
         *     **Scope:** `webhook:write`
         */
        post: operations["webhook_endpoints_ping_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/webhook_endpoints/{endpoint_id}/enable": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Enable a webhook endpoint
         * @description Enable a webhook endpoint that was disabled: it gets the events that happen from now on.
         *
         *     To send it the events that it has missed, use `recover`.
         *
         *     **Scope:** `webhook:write`
         */
        post: operations["webhook_endpoints_enable_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/webhook_endpoints/{endpoint_id}/recover": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Redeliver the missed events of a webhook endpoint
         * @description Schedule for a webhook endpoint the messages that it has missed in a period, and return their number.
         *
         *     By default these are the deliveries that failed or were cancelled; `only: all` adds the events that have no delivery
         *     because the endpoint was disabled. The period must not begin before the oldest events that are still kept, and at
         *     most 250,000 deliveries of it may have failed.
         *
         *     **Scope:** `webhook:write`
         */
        post: operations["webhook_endpoints_recover_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/webhook_endpoints/{endpoint_id}/deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List deliveries of a webhook endpoint
         * @description Return the deliveries to a webhook endpoint, newest first. Deliveries are kept as long as their events.
         *
         *     **Scope:** `webhook:read`
         */
        get: operations["webhook_endpoints_deliveries_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Retrieve a delivery with its attempts
         * @description Return a delivery: its request, with a masked signature, and the response or error of each attempt.
         *
         *     **Scope:** `webhook:read`
         */
        get: operations["webhook_endpoints_deliveries_retrieve"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}/redeliver": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Redeliver a message
         * @description Send the message of a delivery again, with the same `webhook-id`, even if it was delivered before.
         *
         *     **Scope:** `webhook:write`
         */
        post: operations["webhook_endpoints_deliveries_redeliver_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/users/@me/push_tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the caller's devices
         * @description Return the devices that receive the caller's pushes, the most recently seen first.
         *
         *     **Scope:** `user:write`
         */
        get: operations["users_push_tokens_list"];
        put?: never;
        /**
         * Register a device
         * @description Register a device for pushes, or renew its registration.
         *
         *     If the token belongs to another user's device, the device is moved to the caller. A user has at most 20 devices: a
         *     new device replaces the least recently seen one.
         *
         *     **Scope:** `user:write`
         */
        post: operations["users_push_tokens_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/users/@me/push_tokens/unregister": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Unregister a device
         * @description Delete a device by its token. The response is 204 even if the caller has no such device.
         *
         *     **Scope:** `user:write`
         */
        post: operations["users_push_tokens_unregister_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/push/vapid_public_key": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Retrieve the key for web push
         * @description Return the public key with which a browser subscribes to web push (VAPID).
         *
         *     Register the browser's subscription, as JSON, as a device of the platform `web`. The response is 404 if
         *     web push is not configured.
         *
         *     **Scope:** `user:read`
         */
        get: operations["push_vapid_public_key_retrieve"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/notifications": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the pushes about a task, with reasons
         * @description Return the pushes to the caller about a task, newest first: one entry for each event and device.
         *
         *     Pushes to other people are not shown. Entries are kept for 30 days.
         *
         *     **Scope:** `task:read`
         */
        get: operations["tasks_notifications_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/notifications/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a test push to a device
         * @description Send a test push about a task to one of the caller's devices now, and return the push service's response.
         *
         *     The push is sent regardless of presence, cooldown and preferences.
         *
         *     **Scope:** `user:write`
         */
        post: operations["tasks_notifications_test_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/mute": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Mute a task
         * @description Stop the pushes to the caller about a task; other people still get theirs.
         *
         *     **Scope:** `task:write`
         */
        put: operations["tasks_mute_update"];
        post?: never;
        /**
         * Unmute a task
         * @description Allow pushes to the caller about a task that the caller has muted.
         *
         *     **Scope:** `task:write`
         */
        delete: operations["tasks_mute_destroy"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/users/@me/notification_preferences": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Retrieve the notification preferences
         * @description Return the notification preferences of the caller: the kinds of pushes, their times and their detail.
         *
         *     **Scope:** `user:read`
         */
        get: operations["users_notification_preferences_retrieve"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Update the notification preferences
         * @description Update the notification preferences of the caller: only the given fields change.
         *
         *     **Scope:** `user:write`
         */
        patch: operations["users_notification_preferences_partial_update"];
        trace?: never;
    };
    "/api/users/@me/inbox": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the questions in the caller's inbox
         * @description Return the questions of tasks that the caller created or follows, sorted by urgency and then by age.
         *
         *     The most urgent question is first; of equally urgent ones, the oldest. `open_count` is the number for a badge: it
         *     counts all open questions except those of the kind `message`, regardless of the filters.
         *
         *     **Scope:** `task:read`
         */
        get: operations["users_inbox_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/users/@me/inbox/stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow the caller's inbox live
         * @description Stream the events of the caller's questions live as server-sent events.
         *
         *     These are `question.opened`, `question.answered`, `question.expired` and `question.withdrawn`. The stream starts
         *     with new events, or, with `Last-Event-ID`, after the position of this id. No event is sent twice or left out, unless
         *     events after this position no longer exist: `event: gap` then says so, and the client must read the inbox again.
         *     `keepalive` is sent after 20 seconds without an event. After 15 minutes `event: end` closes the stream: reconnect
         *     with the last id.
         *
         *     **Scope:** `task:read`
         */
        get: operations["users_inbox_stream_retrieve"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/questions/{question_id}/answer": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Answer a question
         * @description Answer a question: with `option_id` (permission), `action` (form, url) or `text` (message).
         *
         *     The first answer closes the question. If any member sends the same answer again, nothing changes, and the response
         *     has `repeated`; another answer is refused. Send `digest` to make sure that the question has not changed since it was
         *     shown. A member who answers follows the task from then on.
         *
         *     **Scope:** `task:write`
         */
        post: operations["questions_answer_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/questions/{question_id}/snooze": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Snooze a question
         * @description Suspend the caller's notifications about a question for up to a day. The question stays in the inbox.
         *
         *     **Scope:** `task:write`
         */
        post: operations["questions_snooze_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects/{project_id}/tasks/{task_id}/follow": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Follow a task
         * @description Add the questions of another person's task to the caller's inbox.
         *
         *     Pushes still go to the task's creator only.
         *
         *     **Scope:** `task:write`
         */
        put: operations["tasks_follow_update"];
        post?: never;
        /**
         * Unfollow a task
         * @description Remove the questions of a followed task from the caller's inbox.
         *
         *     **Scope:** `task:write`
         */
        delete: operations["tasks_follow_destroy"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/actions/{token}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Answer a question with an action token
         * @description Answer a question with the action token of its notification; no API key is needed.
         *
         *     A token that names an option needs no body. If the same token is sent again, its answer is returned with
         *     `repeated`; a different token of an answered question is refused with 409. A token that is forged, older
         *     than a day, or of a person who has lost access is answered with 404. If the risk of the question is high, or
         *     higher than the operator's setting `TASKBEACON_ACTION_TOKENS` allows, a token alone is refused with 403: the
         *     question's page then asks for an API key, or for a browser that is signed in to the console.
         */
        post: operations["actions_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/users/@me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Retrieve the user of the key
         * @description Return the user that the key belongs to, with their current project (`@current`) and their organizations.
         *
         *     **Scope:** `user:read`
         */
        get: operations["users_me_retrieve"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/console/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Retrieve the console session
         * @description Return the console session that the request's cookie belongs to, with its user, scopes and projects.
         */
        get: operations["console_session_retrieve"];
        put?: never;
        /**
         * Sign in to the console
         * @description Open a console session with an API key, or with the code of a login link (`taskbeacon console`).
         *
         *     The session's cookie is named `__Host-taskbeacon`, or `taskbeacon` over http on localhost. With the
         *     cookie, the browser may call every operation that accepts a key, with the rights of the key. A request is
         *     refused with 403 if a page of another site sent it, or if it uses http and the host is not localhost.
         */
        post: operations["console_session_create"];
        /**
         * Sign out of the console
         * @description End the console session that the request's cookie belongs to, and delete the cookie in the browser.
         */
        delete: operations["console_session_destroy"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/console/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the caller's console sessions
         * @description Return the console sessions that were opened with any of the caller's keys, the most recently used first.
         *
         *     **Scope:** `user:read`
         */
        get: operations["console_sessions_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/console/sessions/{session_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * End a console session
         * @description End one of the caller's console sessions; its cookie is refused within a second.
         *
         *     **Scope:** `user:write`
         */
        delete: operations["console_sessions_destroy"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/projects": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List projects
         * @description Return the projects that the caller is a member of and that the key may use.
         *
         *     **Scope:** `project:read`
         */
        get: operations["projects_list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/webhooks/github": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Receive a webhook of GitHub
         * @description Receive a webhook of GitHub, and start a follow-up run if checks of a run's branch have failed.
         *
         *     A failed `check_suite` or `workflow_run` on a branch that a run pushed starts a follow-up run with the task's
         *     `ci_prompt`, at most three times per branch. All other events are ignored. The request must be signed with the
         *     webhook secret of the integration that the query parameter `integration` names. Without this parameter, it must be
         *     signed with the webhook secret of the service.
         */
        post: operations["webhooks_github_create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/livez": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Check that the process is alive
         * @description Report that the process responds. No other server is contacted.
         */
        get: operations["livez"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Check that the service is ready
         * @description Report whether the database, its schema, Redis and the object store are ready, each separately.
         *
         *     The status is 200 if all of them are ready, else 503.
         */
        get: operations["readyz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the metrics
         * @description Return the metrics of this process and the number of waiting runs, in the text format of Prometheus.
         *
         *     They are at most one second old.
         */
        get: operations["metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export interface webhooks {
    "task.created": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * task.created
         * @description A task was created.
         */
        post: operations["webhook_task_created"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "task.updated": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * task.updated
         * @description Fields of a task were changed.
         */
        post: operations["webhook_task_updated"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "task.deleted": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * task.deleted
         * @description A task was deleted.
         */
        post: operations["webhook_task_deleted"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "run.queued": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * run.queued
         * @description A run waits to be performed: it was created, or is to be performed again.
         */
        post: operations["webhook_run_queued"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "run.started": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * run.started
         * @description A run is in progress for the first time.
         */
        post: operations["webhook_run_started"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "run.recovered": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * run.recovered
         * @description A worker was lost or stopped before its agent ended; the run waits for another one.
         */
        post: operations["webhook_run_recovered"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "run.awaiting_input": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * run.awaiting_input
         * @description The agent of a run waits for a person: for an answer to its question, or for a message.
         */
        post: operations["webhook_run_awaiting_input"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "run.resumed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * run.resumed
         * @description The agent of a run no longer waits for a person, and goes on.
         */
        post: operations["webhook_run_resumed"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "question.opened": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * question.opened
         * @description An agent asks something, or waits for a message.
         */
        post: operations["webhook_question_opened"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "question.answered": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * question.answered
         * @description A question was answered; the first answer counts.
         */
        post: operations["webhook_question_answered"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "question.expired": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * question.expired
         * @description No answer to a question came in time.
         */
        post: operations["webhook_question_expired"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "question.withdrawn": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * question.withdrawn
         * @description The agent, its turn or its run ended before a question was answered.
         */
        post: operations["webhook_question_withdrawn"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "run.completed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * run.completed
         * @description A run was completed. Sent once, at its first terminal status, set by a worker or a client.
         */
        post: operations["webhook_run_completed"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "run.failed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * run.failed
         * @description A run failed. Sent once, at its first terminal status, set by a worker or a client.
         */
        post: operations["webhook_run_failed"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "run.cancelled": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * run.cancelled
         * @description A run was cancelled. Sent once, at its first terminal status, set by a worker or a client.
         */
        post: operations["webhook_run_cancelled"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "run.pull_request_opened": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * run.pull_request_opened
         * @description A run has a pull request.
         */
        post: operations["webhook_run_pull_request_opened"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "run.artifact_added": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * run.artifact_added
         * @description A run has a new file.
         */
        post: operations["webhook_run_artifact_added"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "webhook_endpoint.disabled": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * webhook_endpoint.disabled
         * @description One of the caller's endpoints was disabled by the service; sent to their other ones.
         */
        post: operations["webhook_webhook_endpoint_disabled"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    ping: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * ping
         * @description An endpoint is tested.
         */
        post: operations["webhook_ping"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export interface components {
    schemas: {
        /**
         * AnswerVia
         * @description The channel through which a question was answered.
         * @enum {string}
         */
        AnswerVia: "api" | "console" | "cli" | "action_token" | "mcp" | "a2a" | "rule";
        /**
         * AnsweredOut
         * @description The answer that closed a question, and the progress of its delivery to the agent.
         */
        AnsweredOut: {
            /**
             * Answer
             * @description The answer: `option_id`, `action` or `text`.
             * @example {
             *       "option_id": "allow"
             *     }
             */
            answer: {
                [key: string]: unknown;
            } | null;
            answered_by: components["schemas"]["UserBasic"] | null;
            /** @description The channel by which the answer arrived. */
            answered_via: components["schemas"]["AnswerVia"] | null;
            /** Answered At */
            answered_at: string | null;
            /**
             * Status
             * @constant
             */
            status: "answered";
            /** @description The progress of the answer to the agent; `dropped`: the agent ended first. */
            delivery: components["schemas"]["CommandStatus"];
            /**
             * Repeated
             * @description True if the question had this answer already.
             * @example true
             */
            repeated?: boolean;
        };
        /**
         * ArtifactOut
         * @description A stored file that belongs to a run.
         */
        ArtifactOut: {
            /**
             * Id
             * @description Id of the artifact: 32 hexadecimal digits.
             * @example 4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d
             */
            id: string;
            /**
             * Name
             * @description Name of the file.
             * @example changes.patch
             */
            name: string;
            /**
             * Type
             * @description Role of the file in the run.
             * @example output
             */
            type: string;
            /**
             * Source
             * @description Origin of the file; may be empty.
             * @example agent
             */
            source: string;
            /**
             * Size
             * @description Size in bytes.
             * @example 213
             */
            size: number;
            /**
             * Content Type
             * @description Media type; may be empty.
             * @example text/x-patch
             */
            content_type: string;
            /**
             * Storage Path
             * @description Key of the object in the bucket.
             * @example tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch
             */
            storage_path: string;
            /**
             * Uploaded At
             * Format: date-time
             * @description When the file was stored.
             * @example 2026-03-01T10:00:42.600000+00:00
             */
            uploaded_at: string;
        };
        /**
         * ArtifactsOut
         * @description The stored files of a run, or the files that are stored for the next run of a task.
         */
        ArtifactsOut: {
            /** Artifacts */
            artifacts: components["schemas"]["ArtifactOut"][];
        };
        /**
         * AttemptOut
         * @description One attempt to deliver an event to a webhook endpoint: the response, or the error.
         */
        AttemptOut: {
            /** N */
            n: number;
            /**
             * Manual
             * @description Whether a user requested the attempt, instead of the schedule.
             */
            manual: boolean;
            /**
             * Started At
             * Format: date-time
             */
            started_at: string;
            /** Duration Ms */
            duration_ms: number;
            /**
             * Outcome
             * @enum {string}
             */
            outcome: "delivered" | "failed";
            /**
             * Status Code
             * @description HTTP status of the response; null without a response.
             * @example 200
             */
            status_code: number | null;
            /**
             * Response Excerpt
             * @description The first KiB of a text response.
             * @example ok
             */
            response_excerpt: string | null;
            /** @example null */
            error: components["schemas"]["DeliveryError"] | null;
            /**
             * Resolved Ip
             * @description The IP address that the request was sent to.
             * @example 203.0.113.7
             */
            resolved_ip: string | null;
            /** Next Attempt At */
            next_attempt_at: string | null;
        };
        /**
         * CommandOut
         * @description The JSON-RPC 2.0 response to a command: `result`, or `error` if it was refused.
         */
        CommandOut: {
            /**
             * Jsonrpc
             * @example 2.0
             */
            jsonrpc: string;
            /**
             * Result
             * @description `queued`: the command is stored, and is delivered as soon as the agent can accept it; `resolved`: the answer was the first one and counts.
             */
            result?: {
                [key: string]: boolean;
            };
            error?: components["schemas"]["RpcError"];
            /**
             * Id
             * @description The `id` of the request, if it has one.
             */
            id?: string | number;
        };
        /**
         * CommandStatus
         * @description The progress of a command to an agent: first accepted, then delivered, then either consumed or dropped.
         *
         *     The run's log has an entry for each step.
         * @enum {string}
         */
        CommandStatus: "accepted" | "delivered" | "consumed" | "dropped";
        /**
         * ConnectionTokenOut
         * @description A token with which a client that has no API key can access one run.
         */
        ConnectionTokenOut: {
            /**
             * Token
             * @description JSON Web Token (RS256), valid for a day, audience `taskbeacon:run_connection`.
             * @example eyJhbGciOiJSUzI1NiJ9.…
             */
            token: string;
        };
        /**
         * ConsoleSessionList
         * @description The caller's console sessions, the most recently used first.
         */
        ConsoleSessionList: {
            /** Results */
            results: components["schemas"]["ConsoleSessionRow"][];
        };
        /**
         * ConsoleSessionOut
         * @description The response about the console session of the browser that sent the request.
         */
        ConsoleSessionOut: {
            /**
             * Id
             * Format: uuid
             */
            id: string;
            /** @description The user of the session's key. */
            user: components["schemas"]["UserBasic"];
            /**
             * Projects
             * @description The projects that the key may use.
             */
            projects: components["schemas"]["SessionProject"][];
            /**
             * Scopes
             * @description The scopes of the key.
             * @example [
             *       "*"
             *     ]
             */
            scopes: string[];
            /**
             * Created At
             * Format: date-time
             */
            created_at: string;
            /**
             * Expires At
             * Format: date-time
             * @description When the session ends at the latest; without use it ends after two weeks.
             */
            expires_at: string;
        };
        /**
         * ConsoleSessionRow
         * @description A console session, as the response that lists the caller's console sessions shows it.
         */
        ConsoleSessionRow: {
            /**
             * Id
             * Format: uuid
             */
            id: string;
            /**
             * Created At
             * Format: date-time
             */
            created_at: string;
            /**
             * Last Used At
             * Format: date-time
             * @description When the session was last used, updated at most once an hour.
             */
            last_used_at: string;
            /**
             * User Agent
             * @description The `User-Agent` of the browser that signed in.
             * @example Mozilla/5.0
             */
            user_agent: string;
            /**
             * Address
             * @description The address that the browser signed in from; for IPv6, its network.
             * @example 203.0.113.7
             */
            address: string;
            /**
             * Current
             * @description Whether this request was sent with the session.
             */
            current: boolean;
        };
        /**
         * DecisionOut
         * @description One of the successive decisions about a push (first `deferred`, later `sent`), with its reason and time.
         */
        DecisionOut: {
            /** @description The decision. */
            decision: components["schemas"]["NotificationDecision"];
            /**
             * Reason
             * @description The reason for the decision.
             * @example presence
             */
            reason: string | null;
            /**
             * At
             * Format: date-time
             * @description When the decision was made.
             */
            at: string;
        };
        /**
         * DeliveryDetailOut
         * @description A delivery to a webhook endpoint, with its request and all attempts.
         */
        DeliveryDetailOut: {
            /**
             * Id
             * Format: uuid
             */
            id: string;
            /**
             * Event Id
             * Format: uuid
             * @description The header `webhook-id`, the same for every attempt.
             */
            event_id: string;
            /**
             * Event Type
             * @example run.completed
             */
            event_type: string;
            /** Task Id */
            task_id: string | null;
            /** Run Id */
            run_id: string | null;
            status: components["schemas"]["DeliveryStatus"];
            /**
             * Created At
             * Format: date-time
             */
            created_at: string;
            /**
             * Next Attempt At
             * @description When the next attempt is due; null unless the delivery is pending.
             */
            next_attempt_at: string | null;
            /** Delivered At */
            delivered_at: string | null;
            request: components["schemas"]["RequestOut"];
            /** Attempts */
            attempts: components["schemas"]["AttemptOut"][];
        };
        /**
         * DeliveryError
         * @description The reason why an attempt to send a message to a webhook endpoint failed.
         * @enum {string}
         */
        DeliveryError: "dns_failed" | "blocked_address" | "connect_failed" | "tls_failed" | "timeout" | "redirect" | "http_4xx" | "http_5xx";
        /**
         * DeliveryOut
         * @description A delivery of an event to a webhook endpoint, with the number of its attempts.
         */
        DeliveryOut: {
            /**
             * Id
             * Format: uuid
             */
            id: string;
            /**
             * Event Id
             * Format: uuid
             * @description The header `webhook-id`, the same for every attempt.
             */
            event_id: string;
            /**
             * Event Type
             * @example run.completed
             */
            event_type: string;
            /** Task Id */
            task_id: string | null;
            /** Run Id */
            run_id: string | null;
            status: components["schemas"]["DeliveryStatus"];
            /**
             * Created At
             * Format: date-time
             */
            created_at: string;
            /**
             * Next Attempt At
             * @description When the next attempt is due; null unless the delivery is pending.
             */
            next_attempt_at: string | null;
            /** Delivered At */
            delivered_at: string | null;
            /**
             * Attempts
             * @description The number of attempts.
             */
            attempts: number;
        };
        /**
         * DeliveryPage
         * @description A page of deliveries to a webhook endpoint, newest first.
         */
        DeliveryPage: {
            /**
             * Count
             * @description The number of deliveries that match the filters.
             */
            count: number;
            /**
             * Next
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            next: string | null;
            /**
             * Previous
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            previous: string | null;
            /** Results */
            results: components["schemas"]["DeliveryOut"][];
        };
        /**
         * DeliveryStatus
         * @description The status of the delivery of an event to a webhook endpoint.
         * @enum {string}
         */
        DeliveryStatus: "pending" | "delivered" | "failed" | "cancelled";
        /**
         * DeviceList
         * @description The caller's devices, the most recently seen first.
         */
        DeviceList: {
            /**
             * Results
             * @description At most 20.
             */
            results: components["schemas"]["DeviceOut"][];
        };
        /**
         * DeviceOut
         * @description A device that is registered for pushes. Its token is never shown.
         */
        DeviceOut: {
            /**
             * Id
             * Format: uuid
             * @description The `device_id` of presence.
             */
            id: string;
            /** @description The platform of the device. */
            platform: components["schemas"]["Platform"];
            /**
             * Created At
             * Format: date-time
             * @description When the user first registered the device.
             */
            created_at: string;
            /**
             * Last Seen At
             * Format: date-time
             * @description When the device was last registered.
             */
            last_seen_at: string;
        };
        /**
         * DiffOut
         * @description A page of the files that a run changed.
         */
        DiffOut: {
            /**
             * Base
             * @description The branch that the run started from, if it is known.
             * @example main
             */
            base: string | null;
            /**
             * Head
             * @description The commit that the run pushed, if it did.
             * @example 9fceb02d0ae598e95dc970b74767f19372d61af8
             */
            head: string | null;
            /**
             * Files
             * @description The changed files, in the order of the patch.
             */
            files: components["schemas"]["FileDiff"][];
            /**
             * Next
             * @description `cursor` of the next page; null on the last page.
             * @example null
             */
            next: string | null;
        };
        /**
         * DisabledReason
         * @description The reason why a webhook endpoint is disabled.
         * @enum {string}
         */
        DisabledReason: "gone" | "no_success" | "blocked_address" | "creator_deactivated" | "creator_left" | "user";
        /**
         * EndpointOut
         * @description A webhook endpoint, without its secret.
         */
        EndpointOut: {
            /**
             * Id
             * Format: uuid
             */
            id: string;
            /**
             * Url
             * @example https://hooks.example.com/taskbeacon
             */
            url: string;
            /**
             * Event Types
             * @example [
             *       "run.completed",
             *       "question.*"
             *     ]
             */
            event_types: string[];
            /**
             * Description
             * @example Our chat
             */
            description: string;
            payload: components["schemas"]["PayloadKind"];
            /**
             * Task Filter
             * @description The filter of tasks; null: all tasks.
             * @example null
             */
            task_filter: {
                [key: string]: unknown;
            } | null;
            /** Enabled */
            enabled: boolean;
            /**
             * @description Why the endpoint is disabled; null if it is enabled.
             * @example null
             */
            disabled_reason: components["schemas"]["DisabledReason"] | null;
            /**
             * Created At
             * Format: date-time
             */
            created_at: string;
            /** @description The owner: the only user who can see it. */
            created_by: components["schemas"]["UserBasic"] | null;
            /** Last Success At */
            last_success_at: string | null;
            /** Last Failure At */
            last_failure_at: string | null;
            /**
             * Consecutive Failures
             * @description Number of failed attempts since the last success.
             * @example 0
             */
            consecutive_failures: number;
            /**
             * Secret Hint
             * @description The last four characters of the secret.
             * @example Zm8=
             */
            secret_hint: string;
        };
        /**
         * EndpointPage
         * @description A page of webhook endpoints.
         */
        EndpointPage: {
            /**
             * Count
             * @description The number of the caller's endpoints in the project.
             */
            count: number;
            /**
             * Next
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            next: string | null;
            /**
             * Previous
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            previous: string | null;
            /** Results */
            results: components["schemas"]["EndpointOut"][];
        };
        /**
         * Environment
         * @description The place where a run is performed: by its client (`local`) or by a worker of the service (`cloud`).
         * @enum {string}
         */
        Environment: "local" | "cloud";
        /**
         * EventOut
         * @description One event in the life cycle of a task or run.
         */
        EventOut: {
            /**
             * Id
             * Format: uuid
             * @description Id of the event; the `webhook-id` of its deliveries.
             */
            id: string;
            /**
             * Seq
             * @description Number of the event. Events can become visible in a different order.
             */
            seq: number;
            /**
             * Type
             * @example run.completed
             */
            type: string;
            /**
             * Timestamp
             * Format: date-time
             */
            timestamp: string;
            /**
             * Data
             * @description Details of the event; `webhook_event_types` describes them by type.
             * @example {
             *       "project_id": 1,
             *       "seq": 3
             *     }
             */
            data: {
                [key: string]: unknown;
            };
        };
        /**
         * EventPage
         * @description A page of events, oldest first.
         */
        EventPage: {
            /** Results */
            results: components["schemas"]["EventOut"][];
            /**
             * Next After
             * @description Opaque; send it as `after` to continue. Never null.
             * @example AAAAAAAAA7oAAAAAAAAAKg
             */
            next_after: string;
            /**
             * Truncated
             * @description Whether events after `after` have been deleted: then read the tasks themselves.
             */
            truncated: boolean;
        };
        /**
         * EventTypeOut
         * @description A type of events, with the JSON Schema and an example of its webhook body.
         */
        EventTypeOut: {
            /** Type */
            type: string;
            /** Description */
            description: string;
            /**
             * Schema
             * @description JSON Schema of the whole body.
             */
            schema: {
                [key: string]: unknown;
            };
            /** Example */
            example: {
                [key: string]: unknown;
            };
            /**
             * Since
             * @description The version of this service that introduced the type.
             */
            since: string;
        };
        /**
         * FileDiff
         * @description A file that a run changed, with its part of the patch.
         */
        FileDiff: {
            /**
             * Path
             * @example src/login.py
             */
            path: string;
            /**
             * Old Path
             * @description The former path of a renamed file.
             * @example null
             */
            old_path: string | null;
            /**
             * Status
             * @description Added, modified, deleted or renamed.
             * @example M
             * @enum {string}
             */
            status: "A" | "M" | "D" | "R";
            /**
             * Additions
             * @description Number of lines, for a text file.
             * @example 1
             */
            additions: number;
            /**
             * Deletions
             * @description Number of lines, for a text file.
             * @example 1
             */
            deletions: number;
            /**
             * Binary
             * @example false
             */
            binary: boolean;
            /**
             * Patch
             * @description The file's part of the patch, at most 256 KiB; absent for a binary file.
             * @example diff --git a/src/login.py b/src/login.py
             *     @@ -1 +1 @@
             *     -old
             *     +new
             */
            patch?: string;
            /**
             * Truncated
             * @description Whether `patch` is cut off.
             * @example false
             */
            truncated: boolean;
        };
        /**
         * InboxPage
         * @description A page of questions, most urgent first, then oldest first.
         */
        InboxPage: {
            /**
             * Count
             * @description The number of matching questions.
             */
            count: number;
            /**
             * Next
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            next: string | null;
            /**
             * Previous
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            previous: string | null;
            /** Results */
            results: components["schemas"]["QuestionOut"][];
            /**
             * Open Count
             * @description The number of the caller's open questions over all projects, unfiltered, without messages.
             */
            open_count: number;
        };
        /**
         * LatestRunSummary
         * @description The status of a task's latest run, and where it is performed: by a client or by a worker.
         */
        LatestRunSummary: {
            /** @example completed */
            status: components["schemas"]["RunStatus"];
            /** @example cloud */
            environment: components["schemas"]["Environment"];
        };
        /**
         * LivenessOut
         * @description The response of the liveness probe: the process responds; no other server was contacted.
         */
        LivenessOut: {
            /**
             * Status
             * @constant
             */
            status: "ok";
        };
        /**
         * NetworkAccessLevel
         * @description The network level of a sandbox environment, which decides the hosts that its agents can reach.
         *
         *     With `custom` these are the host of the agent's model, and the hosts that the environment lists.
         * @enum {string}
         */
        NetworkAccessLevel: "none" | "model-only" | "trusted" | "custom" | "full";
        /**
         * NewEndpointOut
         * @description A new webhook endpoint with its secret, which no later response shows.
         */
        NewEndpointOut: {
            /**
             * Id
             * Format: uuid
             */
            id: string;
            /**
             * Url
             * @example https://hooks.example.com/taskbeacon
             */
            url: string;
            /**
             * Event Types
             * @example [
             *       "run.completed",
             *       "question.*"
             *     ]
             */
            event_types: string[];
            /**
             * Description
             * @example Our chat
             */
            description: string;
            payload: components["schemas"]["PayloadKind"];
            /**
             * Task Filter
             * @description The filter of tasks; null: all tasks.
             * @example null
             */
            task_filter: {
                [key: string]: unknown;
            } | null;
            /** Enabled */
            enabled: boolean;
            /**
             * @description Why the endpoint is disabled; null if it is enabled.
             * @example null
             */
            disabled_reason: components["schemas"]["DisabledReason"] | null;
            /**
             * Created At
             * Format: date-time
             */
            created_at: string;
            /** @description The owner: the only user who can see it. */
            created_by: components["schemas"]["UserBasic"] | null;
            /** Last Success At */
            last_success_at: string | null;
            /** Last Failure At */
            last_failure_at: string | null;
            /**
             * Consecutive Failures
             * @description Number of failed attempts since the last success.
             * @example 0
             */
            consecutive_failures: number;
            /**
             * Secret Hint
             * @description The last four characters of the secret.
             * @example Zm8=
             */
            secret_hint: string;
            /**
             * Secret
             * @description `whsec_…`; shown here and never again.
             * @example whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKY0=
             */
            secret: string;
        };
        /**
         * NotificationDecision
         * @description The decision about a push to one device, such as sent, deferred or suppressed. It is stored with a reason.
         * @enum {string}
         */
        NotificationDecision: "pending" | "retrying" | "sent" | "deferred" | "held_quiet_hours" | "reminder" | "retracted" | "delivered" | "rejected" | "given_up" | "suppressed" | "not_needed" | "digested" | "muted" | "cooled_down" | "throttled" | "no_token" | "no_access";
        /**
         * NotificationKind
         * @description The kind of a push: the event that it reports (contract 7.2); `digest` may report several, `test` none.
         * @enum {string}
         */
        NotificationKind: "completed" | "failed" | "cancelled" | "awaiting" | "test" | "webhook_disabled" | "notify_user" | "digest";
        /**
         * NotificationOut
         * @description A push about one event to one device: the decision about it, the reason, and the result.
         */
        NotificationOut: {
            /**
             * Id
             * Format: uuid
             * @description Id of the entry.
             */
            id: string;
            /**
             * Run
             * @description The run that the push is about; null for a test push.
             */
            run: string | null;
            /** @description The kind of event that the push reports. */
            kind: components["schemas"]["NotificationKind"];
            /**
             * Title
             * @description The title of an agent's message.
             * @example null
             */
            title: string | null;
            /**
             * Body
             * @description Text of the push.
             * @example "Say hello" finished
             */
            body: string;
            /**
             * Device
             * @description The device that the push is for; null if the user has no device.
             */
            device: string | null;
            /** @description The platform of the device. */
            platform: components["schemas"]["Platform"] | null;
            /**
             * @description `pending`, `retrying`, `sent` (taken by the push service), `delivered` (taken by the device's own), `rejected`, `given_up` after an hour of failures; `deferred` while a device shows the task or for another reason, `held_quiet_hours`, and decided again at `due_at`; after it was sent `reminder` or `retracted`; or never sent: `not_needed`, `digested` into one message after quiet hours, `muted`, `cooled_down`, `no_token`, `no_access`; a message of an agent also `throttled`, or `suppressed` while a device shows the task, as older rows are.
             * @example deferred
             */
            decision: components["schemas"]["NotificationDecision"];
            /**
             * Reason
             * @description The reason, such as `presence`, `answer_grace`, `cooldown`, `snoozed`, `seen`, `answered`, `DeviceNotRegistered`, `task_muted`, `kind_off`, `project_off`, `one_a_minute` or `five_a_run`.
             * @example presence
             */
            reason: string | null;
            /** @description The device that deferred the push. */
            watched_by: components["schemas"]["WatchedBy"] | null;
            /**
             * Attempts
             * @description How often the push was sent to the push service.
             * @example 0
             */
            attempts: number;
            /**
             * Created At
             * Format: date-time
             * @description When the decision was made.
             */
            created_at: string;
            /**
             * Next Attempt At
             * @description When the push is sent next.
             * @example null
             */
            next_attempt_at: string | null;
            /**
             * Due At
             * @description When the decision is made again; the same time.
             * @example null
             */
            due_at: string | null;
            /**
             * Deferred For
             * @description Seconds for which the push was deferred before it was sent.
             * @example 65
             */
            deferred_for: number | null;
            /**
             * Sent At
             * @description When the push service accepted the push, or may have without saying so.
             * @example null
             */
            sent_at: string | null;
            /**
             * Settled At
             * @description When the final decision was made.
             */
            settled_at: string | null;
            /**
             * History
             * @description All decisions about the push, oldest first.
             */
            history: components["schemas"]["DecisionOut"][];
        };
        /**
         * NotificationPage
         * @description A page of the caller's notifications about a task, newest first.
         *
         *     Each one is a push to one device, with all decisions about it.
         */
        NotificationPage: {
            /**
             * Count
             * @description Total number of entries.
             */
            count: number;
            /**
             * Next
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            next: string | null;
            /**
             * Previous
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            previous: string | null;
            /** Results */
            results: components["schemas"]["NotificationOut"][];
        };
        /**
         * OrganizationOut
         * @description An organization that owns a project of the caller.
         */
        OrganizationOut: {
            /**
             * Id
             * Format: uuid
             */
            id: string;
            /**
             * Name
             * @example Test Organization
             */
            name: string;
        };
        /**
         * OriginProduct
         * @description The feature or tool from which a task was created, such as Slack; by default `user_created` (contract 3.1).
         * @enum {string}
         */
        OriginProduct: "onboarding" | "error_tracking" | "eval_clusters" | "user_created" | "automation" | "slack" | "support_queue" | "session_summaries" | "posthog_ai" | "experiments" | "signal_report" | "signals_scout" | "support_reply" | "hogdesk" | "image_builder";
        /**
         * PayloadKind
         * @description The content of a webhook's body: `thin` has ids and statuses only, `full` also has the task and the run.
         * @enum {string}
         */
        PayloadKind: "thin" | "full";
        /**
         * PingedOut
         * @description The id of the delivery of a test message. Its result can be retrieved by this id.
         */
        PingedOut: {
            /**
             * Delivery Id
             * Format: uuid
             * @description Id of the delivery; `deliveries` has its result.
             */
            delivery_id: string;
        };
        /**
         * Platform
         * @description The platform of a device with a push token (contract 6.5).
         * @enum {string}
         */
        Platform: "ios" | "android" | "web";
        /**
         * PositionOut
         * @description The response with the number of the last stream event that the service has accepted from a run's agent, or 0.
         */
        PositionOut: {
            /**
             * Last Accepted Seq
             * @description Number of the last accepted event; 0: none yet.
             */
            last_accepted_seq: number;
        };
        /**
         * PreferencesOut
         * @description The notification preferences of the caller: the kinds of pushes, their times and their detail.
         */
        PreferencesOut: {
            /**
             * Completed
             * @description Whether to push when a run is completed.
             */
            completed: boolean;
            /**
             * Failed
             * @description Whether to push when a run fails.
             */
            failed: boolean;
            /**
             * Cancelled
             * @description Whether to push when a run is cancelled.
             */
            cancelled: boolean;
            /**
             * Awaiting
             * @description Whether to push when an agent needs input.
             */
            awaiting: boolean;
            /**
             * Notify User
             * @description Whether to push messages of agents.
             */
            notify_user: boolean;
            /** @description The times without pushes. */
            quiet_hours: components["schemas"]["QuietHoursOut"] | null;
            /**
             * Allow During Quiet
             * @description Classes of pushes that quiet hours let through, such as `high`.
             */
            allow_during_quiet: components["schemas"]["Urgency"][];
            /** @description How much detail a push shows: `generic` names neither task nor question, `title` the task, `full` also the question. Expo, Apple and Google can read pushes to phones; those to browsers are encrypted. A project may allow less. */
            push_text: components["schemas"]["PushText"];
            /**
             * Reminder After Seconds
             * @description After how many seconds a question that is still open is pushed once more; null: never.
             */
            reminder_after_seconds: number | null;
        };
        /**
         * PreparedOut
         * @description A prepared upload of one file: the file's id and description, and the signed HTML form that uploads it.
         */
        PreparedOut: {
            /**
             * Id
             * @example 9c1f2e3d4b5a69788796a5b4c3d2e1f0
             */
            id: string;
            /**
             * Name
             * @example screenshot.png
             */
            name: string;
            /**
             * Type
             * @example user_attachment
             */
            type: string;
            /**
             * Source
             * @example
             */
            source: string;
            /**
             * Size
             * @example 48213
             */
            size: number;
            /**
             * Content Type
             * @example image/png
             */
            content_type: string;
            /**
             * Storage Path
             * @example tasks/artifacts/team_1/task_019ca8a6/staged/9c1f2e3d/screenshot.png
             */
            storage_path: string;
            /**
             * Expires In
             * @description Seconds for which the form is valid.
             * @example 3600
             */
            expires_in: number;
            presigned_post: components["schemas"]["PresignedPost"];
        };
        /**
         * PreparedPage
         * @description The prepared uploads, in the order of the files in the request.
         */
        PreparedPage: {
            /** Artifacts */
            artifacts: components["schemas"]["PreparedOut"][];
        };
        /**
         * PresignedPost
         * @description A signed HTML form that uploads one file directly to object storage.
         */
        PresignedPost: {
            /**
             * Url
             * @description URL to POST the form to, as multipart/form-data.
             * @example https://storage.example.com/taskbeacon
             */
            url: string;
            /**
             * Fields
             * @description Form fields to send verbatim, before the file part `file`.
             * @example {
             *       "key": "tasks/artifacts/screenshot.png",
             *       "policy": "eyJl…"
             *     }
             */
            fields: {
                [key: string]: string;
            };
        };
        /**
         * ProjectOut
         * @description A project that the caller may use.
         */
        ProjectOut: {
            /**
             * Id
             * @description The project's id in the paths of its tasks.
             */
            id: number;
            /**
             * Uuid
             * Format: uuid
             */
            uuid: string;
            /**
             * Organization
             * Format: uuid
             * @description The organization that owns it.
             */
            organization: string;
            /**
             * Project Id
             * @description The same as `id`.
             */
            project_id: number;
            /**
             * Api Token
             * @description Public token of the project; not a credential.
             * @example phc_8s7d6f5g4h3j2k1l
             */
            api_token: string;
            /**
             * Name
             * @description Its first letters begin the slugs of its tasks.
             * @example Test Team
             */
            name: string;
            /**
             * Timezone
             * @example UTC
             */
            timezone: string;
        };
        /**
         * ProjectPage
         * @description A page of projects that the caller may use.
         */
        ProjectPage: {
            /**
             * Count
             * @description Number of projects that the caller may use.
             */
            count: number;
            /**
             * Next
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            next: string | null;
            /**
             * Previous
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            previous: string | null;
            /** Results */
            results: components["schemas"]["ProjectOut"][];
        };
        /**
         * PushTestOut
         * @description The response of the push service to a test push.
         */
        PushTestOut: {
            /**
             * Id
             * Format: uuid
             * @description Id of the push in the list of the task's notifications.
             */
            id: string;
            /**
             * Device
             * Format: uuid
             * @description The device that the push was sent to.
             */
            device: string;
            /** @description The platform of the device. */
            platform: components["schemas"]["Platform"];
            /**
             * @description `sent`, `rejected` or `retrying`.
             * @example sent
             */
            decision: components["schemas"]["NotificationDecision"];
            /**
             * Reason
             * @description Why the push was not sent.
             * @example null
             */
            reason: string | null;
            /**
             * Ticket
             * @description The push service's ticket, if it returned one.
             * @example 740dd1b2-0b1c-4b0a-8c1d-2f3e4a5b6c7d
             */
            ticket: string | null;
        };
        /**
         * PushText
         * @description The level of detail in the text of a push, from the least detailed to the most detailed.
         * @enum {string}
         */
        PushText: "generic" | "title" | "full";
        /**
         * QuestionAction
         * @description An action that the caller may take on a question.
         * @enum {string}
         */
        QuestionAction: "answer" | "snooze" | "mute";
        /**
         * QuestionKind
         * @description The kind of a question that an agent asks: a permission, a form, a page to open, or the next message.
         * @enum {string}
         */
        QuestionKind: "permission" | "form" | "url" | "message";
        /**
         * QuestionOption
         * @description One choice that an agent offers in a permission request, as a response shows it.
         */
        QuestionOption: {
            /**
             * Id
             * @description The `option_id` of an answer.
             * @example allow
             */
            id: string;
            /**
             * Name
             * @description The label of the choice, written by the agent.
             * @example Allow once
             */
            name: string;
            /**
             * Kind
             * @description `allow_once`, `allow_always`, `reject_once` or `reject_always`.
             * @example allow_once
             */
            kind: string;
        };
        /**
         * QuestionOut
         * @description A question of an agent to people, open or closed.
         */
        QuestionOut: {
            /**
             * Answer
             * @description The answer: `option_id`, `action` or `text`.
             * @example {
             *       "option_id": "allow"
             *     }
             */
            answer: {
                [key: string]: unknown;
            } | null;
            answered_by: components["schemas"]["UserBasic"] | null;
            /** @description The channel by which the answer arrived. */
            answered_via: components["schemas"]["AnswerVia"] | null;
            /** Answered At */
            answered_at: string | null;
            /**
             * Id
             * Format: uuid
             */
            id: string;
            /** @description `permission`: the agent asks to do this; `form`: fields to fill in; `url`: a page to open; `message`: the agent's turn is over, and it waits for your next message. */
            kind: components["schemas"]["QuestionKind"];
            /** @description `expired`: no answer came in time; `withdrawn`: the agent does not wait any more. */
            status: components["schemas"]["QuestionStatus"];
            /** @description The urgency of notifications about the question. */
            urgency: components["schemas"]["Urgency"];
            /** @description The risk of an answer, by the tool and the rules of the service. */
            risk: components["schemas"]["QuestionRisk"];
            /**
             * Digest
             * @description SHA-256 of the question's content, in hexadecimal digits. Send it with the answer.
             * @example 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
             */
            digest: string;
            /**
             * Title
             * @example Run `make deploy`
             */
            title: string;
            /**
             * Detail
             * @description The requested action, shortened.
             * @example make deploy
             */
            detail: string;
            /**
             * Options
             * @description The choices of a `permission`.
             */
            options: components["schemas"]["QuestionOption"][];
            /**
             * Schema
             * @description JSON Schema of the `content` that answers a `form`.
             * @example null
             */
            schema: {
                [key: string]: unknown;
            } | null;
            /**
             * Link
             * @description The page that a `url` question is about.
             * @example null
             */
            link: string | null;
            /**
             * Link Host
             * @description The host of `url`. Show it to people before they open the page.
             * @example null
             */
            link_host: string | null;
            task: components["schemas"]["QuestionTask"];
            run: components["schemas"]["QuestionRun"];
            /** Project Id */
            project_id: number;
            /**
             * Opened At
             * Format: date-time
             */
            opened_at: string;
            /**
             * Expires At
             * @description When the question expires, which counts as a refusal.
             */
            expires_at: string | null;
            /**
             * Snoozed Until
             * @description Until when the caller gets no notifications about the question.
             * @example null
             */
            snoozed_until: string | null;
            /**
             * Allowed Actions
             * @description The actions the caller may take now.
             */
            allowed_actions: components["schemas"]["QuestionAction"][];
            /**
             * Url
             * @description URL of a page that shows the task to people.
             * @example /api/projects/1/tasks/019ca8a0/
             */
            url: string;
        };
        /**
         * QuestionRisk
         * @description The risk of the answer to a question. The tool and the service's rules decide it, never the agent's words.
         * @enum {string}
         */
        QuestionRisk: "low" | "normal" | "high";
        /**
         * QuestionRun
         * @description The run that a question belongs to, as part of the question in a response.
         */
        QuestionRun: {
            /**
             * Id
             * Format: uuid
             */
            id: string;
            status: components["schemas"]["RunStatus"];
        };
        /**
         * QuestionStatus
         * @description The status of a question; all statuses except `open` are final.
         * @enum {string}
         */
        QuestionStatus: "open" | "answered" | "expired" | "withdrawn";
        /**
         * QuestionTask
         * @description The task that a question belongs to, as part of the question in a response.
         */
        QuestionTask: {
            /**
             * Id
             * Format: uuid
             */
            id: string;
            /**
             * Title
             * @example Say hello
             */
            title: string;
            /**
             * Slug
             * @example TES-1
             */
            slug: string;
            /**
             * Repository
             * @example acme/shop
             */
            repository: string | null;
        };
        /**
         * QuietHoursOut
         * @description Quiet hours: a daily period without pushes. The pushes of the period are sent as one message at its end.
         */
        QuietHoursOut: {
            /**
             * Start
             * @description Time of day.
             * @example 22:00
             */
            start: string;
            /**
             * End
             * @description Time of day; on the next day unless later than `start`.
             * @example 07:00
             */
            end: string;
            /**
             * Timezone
             * @description IANA name of the time zone.
             * @example Europe/Berlin
             */
            timezone: string;
            /**
             * Days
             * @description Days on which the quiet hours start: `mon` to `sun`.
             */
            days: string[];
        };
        /**
         * ReadinessOut
         * @description The readiness of each server that the service depends on: "ok", or the problem.
         */
        ReadinessOut: {
            /**
             * Status
             * @enum {string}
             */
            status: "ok" | "unavailable";
            /**
             * Database
             * @description PostgreSQL, with the schema of this release.
             * @example ok
             */
            database: string;
            /**
             * Redis
             * @description Redis or Valkey.
             * @example ok
             */
            redis: string;
            /**
             * Object Store
             * @description The S3 bucket.
             * @example ok
             */
            object_store: string;
        };
        /**
         * RecoveredOut
         * @description The number of missed webhook messages that will be sent to a webhook endpoint.
         */
        RecoveredOut: {
            /**
             * Count
             * @description The number of deliveries.
             */
            count: number;
        };
        /**
         * RelayOut
         * @description The response to a request to relay a message of an agent to a chat, which this service only logs.
         */
        RelayOut: {
            /**
             * Status
             * @description `skipped`: no chat to relay to; the run's log has it.
             * @example skipped
             */
            status: string;
        };
        /**
         * RepositoriesOut
         * @description The repositories of the tasks that the caller can see.
         */
        RepositoriesOut: {
            /**
             * Repositories
             * @description Distinct and sorted.
             * @example [
             *       "taskbeacon/taskbeacon"
             *     ]
             */
            repositories: string[];
        };
        /**
         * RequestOut
         * @description The HTTP request of a webhook delivery: its headers, with a masked signature, and its body.
         */
        RequestOut: {
            /**
             * Headers
             * @example {
             *       "Content-Type": "application/json",
             *       "webhook-id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
             *       "webhook-signature": "v1,***",
             *       "webhook-timestamp": "1772359200"
             *     }
             */
            headers: {
                [key: string]: string;
            };
            /**
             * Body
             * @description The exact bytes that are signed and sent.
             * @example {"type":"ping",…}
             */
            body: string;
        };
        /**
         * RotatedOut
         * @description The new secret of a webhook endpoint, which no later response shows, and the time when the old secret expires.
         */
        RotatedOut: {
            /**
             * Secret
             * @description `whsec_…`; shown here and never again.
             * @example whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKY0=
             */
            secret: string;
            /**
             * Old Secret Valid Until
             * Format: date-time
             * @description Until when both secrets sign every message.
             */
            old_secret_valid_until: string;
        };
        /**
         * RpcError
         * @description The object `error` in the JSON-RPC 2.0 response to a command that was refused: the reason, as code and text.
         */
        RpcError: {
            /**
             * Code
             * @description `-32602`: the params name something that does not exist (any more); `-32000`: not now.
             * @example -32602
             */
            code: number;
            /**
             * Message
             * @description The reason, as a text for people.
             */
            message: string;
        };
        /**
         * RunOut
         * @description A run: one attempt of an agent at a task.
         */
        RunOut: {
            /**
             * Id
             * Format: uuid
             */
            id: string;
            /**
             * Task
             * Format: uuid
             * @description The task of the run.
             */
            task: string;
            /**
             * Stage
             * @description Progress that the client reported.
             * @example null
             */
            stage: string | null;
            /**
             * Branch
             * @description Branch that the run starts from; null: the default branch.
             * @example null
             */
            branch: string | null;
            /**
             * @description `completed`, `failed` and `cancelled` are final; the others are not.
             * @example completed
             */
            status: components["schemas"]["RunStatus"];
            /**
             * @description `cloud`: a worker performs the run; `local`: the client does.
             * @example cloud
             */
            environment: components["schemas"]["Environment"];
            /**
             * Runtime Adapter
             * @description The requested agent; null: the built-in `runbook`.
             * @example claude
             */
            runtime_adapter: string | null;
            /**
             * Provider
             * @description The model's provider.
             * @example anthropic
             */
            provider: string | null;
            /**
             * Model
             * @description The agent's model.
             * @example claude-sonnet-5
             */
            model: string | null;
            /**
             * Reasoning Effort
             * @description The requested reasoning effort.
             * @example high
             */
            reasoning_effort: string | null;
            /**
             * Log Url
             * Format: uri
             * @description URL of the log (JSON lines), valid for one hour.
             */
            log_url: string | null;
            /**
             * Error Message
             * @description The reason of a failure, for people to act on.
             * @example null
             */
            error_message: string | null;
            /**
             * Output
             * @description The result: the structured output if the task has a `json_schema`, else `head_branch`, `head_sha`, `summary` and `files_changed`. An object or null, unless the schema or a client that sets the output has it otherwise.
             * @example {
             *       "head_branch": "taskbeacon/tes-12-8e9f0a1b",
             *       "summary": "Done: 2 steps."
             *     }
             */
            output: unknown;
            /**
             * State
             * @description The run's options and its progress; keys without a value are absent. `waiting_for` is the agent's question to people: a `message`, or a `permission` (`request_id`, `tool_call`, `options`).
             * @example {
             *       "mode": "background"
             *     }
             */
            state: {
                [key: string]: unknown;
            };
            /**
             * Artifacts
             * @description The run's files, including the patch.
             */
            artifacts: components["schemas"]["ArtifactOut"][];
            /**
             * Created At
             * Format: date-time
             */
            created_at: string;
            /**
             * Updated At
             * Format: date-time
             */
            updated_at: string;
            /**
             * Completed At
             * @description When the run reached a final status.
             */
            completed_at: string | null;
        };
        /**
         * RunPage
         * @description A page of runs, newest first.
         */
        RunPage: {
            /**
             * Count
             * @description Number of runs of the task.
             */
            count: number;
            /**
             * Next
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            next: string | null;
            /**
             * Previous
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            previous: string | null;
            /** Results */
            results: components["schemas"]["RunOut"][];
        };
        /**
         * RunStatus
         * @description The status of a run (contract 3.3).
         * @enum {string}
         */
        RunStatus: "not_started" | "queued" | "in_progress" | "completed" | "failed" | "cancelled";
        /**
         * SandboxEnvironmentOut
         * @description A sandbox environment in a response, without the values of its variables.
         */
        SandboxEnvironmentOut: {
            /**
             * Id
             * Format: uuid
             */
            id: string;
            /**
             * Name
             * @description Name of the environment, for people.
             * @example Web app
             */
            name: string;
            /**
             * @description The hosts that agents can reach.
             * @example custom
             */
            network_access_level: components["schemas"]["NetworkAccessLevel"];
            /**
             * Allowed Domains
             * @description Additional host names; `*.example.com` matches all names below example.com.
             * @example [
             *       "registry.npmjs.org"
             *     ]
             */
            allowed_domains: string[];
            /**
             * Include Default Domains
             * @description Whether `custom` has the default domains too.
             * @example false
             */
            include_default_domains: boolean;
            /**
             * Repositories
             * @description Repositories that the environment is meant for; not enforced.
             * @example [
             *       "taskbeacon/taskbeacon"
             *     ]
             */
            repositories: string[];
            /**
             * Has Environment Variables
             * @description Whether the environment has any variable.
             */
            has_environment_variables: boolean;
            /**
             * Environment Variable Keys
             * @description Names of the variables, sorted.
             * @example [
             *       "STAGING_TOKEN"
             *     ]
             */
            environment_variable_keys: string[];
            /**
             * Private
             * @description Whether only the creator can use the environment.
             * @example false
             */
            private: boolean;
            /**
             * Internal
             * @description Always false: the service creates no environments itself.
             * @example false
             */
            internal: boolean;
            /**
             * Effective Domains
             * @description All host names that agents can reach besides their model's; empty for `full`, which allows all hosts.
             * @example [
             *       "registry.npmjs.org"
             *     ]
             */
            effective_domains: string[];
            /** @description The creator; null if the account was deleted. */
            created_by: components["schemas"]["UserBasic"] | null;
            /**
             * Created At
             * Format: date-time
             */
            created_at: string;
            /**
             * Updated At
             * Format: date-time
             */
            updated_at: string;
        };
        /**
         * SandboxEnvironmentPage
         * @description A page of sandbox environments.
         */
        SandboxEnvironmentPage: {
            /**
             * Count
             * @description The number of environments that the caller can see.
             */
            count: number;
            /**
             * Next
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            next: string | null;
            /**
             * Previous
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            previous: string | null;
            /** Results */
            results: components["schemas"]["SandboxEnvironmentOut"][];
        };
        /**
         * SessionProject
         * @description A project that a console session may use, as the response about the session shows it.
         */
        SessionProject: {
            /**
             * Id
             * @description The project's id in the paths of its tasks.
             */
            id: number;
            /**
             * Name
             * @example Test Team
             */
            name: string;
            /**
             * Organization
             * Format: uuid
             * @description The organization that owns it.
             */
            organization: string;
        };
        /**
         * SignedUrlOut
         * @description A URL from which a file can be downloaded without an API key.
         */
        SignedUrlOut: {
            /**
             * Url
             * @example https://storage.example.com/taskbeacon/changes.patch?X-Amz-Signature=…
             */
            url: string;
            /**
             * Expires In
             * @description Seconds for which the URL is valid.
             * @example 3600
             */
            expires_in: number;
        };
        /**
         * SummaryOut
         * @description A summary of a task: title, repository, times, and the status of its latest run.
         */
        SummaryOut: {
            /**
             * Id
             * Format: uuid
             */
            id: string;
            /**
             * Title
             * @description May be empty.
             * @example Say hello
             */
            title: string;
            /**
             * Repository
             * @description The repository as `organization/repository`; null for none.
             * @example taskbeacon/taskbeacon
             */
            repository: string | null;
            /**
             * Created At
             * Format: date-time
             */
            created_at: string;
            /**
             * Updated At
             * Format: date-time
             */
            updated_at: string;
            /** @description The latest run; null before the first run. */
            latest_run: components["schemas"]["LatestRunSummary"] | null;
        };
        /**
         * SummaryPage
         * @description A page of summaries of tasks, newest first.
         */
        SummaryPage: {
            /**
             * Count
             * @description Number of the requested tasks that the caller can see.
             */
            count: number;
            /**
             * Next
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            next: string | null;
            /**
             * Previous
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            previous: string | null;
            /** Results */
            results: components["schemas"]["SummaryOut"][];
        };
        /**
         * TaskOut
         * @description A task. The response always has exactly these keys.
         */
        TaskOut: {
            /**
             * Id
             * Format: uuid
             */
            id: string;
            /**
             * Task Number
             * @description Number of the task within the project; the first is 0.
             * @example 12
             */
            task_number: number | null;
            /**
             * Slug
             * @description The number with the project's prefix.
             * @example TES-12
             */
            slug: string;
            /**
             * Title
             * @description May be empty.
             * @example Say hello
             */
            title: string;
            /**
             * Title Manually Set
             * @description Whether a person chose the title.
             */
            title_manually_set: boolean;
            /**
             * Description
             * @description The instructions for the agent; may be empty.
             * @example Give the repository a page that says hello.
             */
            description: string;
            /**
             * @description The product that the task came from; decides who can see the task.
             * @example user_created
             */
            origin_product: components["schemas"]["OriginProduct"];
            /**
             * Repository
             * @description The repository as `organization/repository` in lower case; null for none.
             * @example taskbeacon/taskbeacon
             */
            repository: string | null;
            /**
             * Github Integration
             * @description Integration of the project to clone with.
             * @example null
             */
            github_integration: number | null;
            /**
             * Github User Integration
             * @description Integration of the creator to push with.
             * @example null
             */
            github_user_integration: string | null;
            /**
             * Signal Report
             * @description The signal report that the task is about.
             * @example null
             */
            signal_report: string | null;
            /**
             * Json Schema
             * @description JSON Schema that the output of every run must satisfy; null for none.
             */
            json_schema: unknown;
            /**
             * Internal
             * @description Whether the task is internal, and hidden from lists by default.
             * @example false
             */
            internal: boolean;
            /**
             * Archived
             * @description Whether the task is archived.
             * @example false
             */
            archived: boolean;
            /**
             * Archived At
             * @description When the task was archived.
             * @example null
             */
            archived_at: string | null;
            /** @description The complete newest run; null before the first. */
            latest_run: components["schemas"]["RunOut"] | null;
            /**
             * Created At
             * Format: date-time
             */
            created_at: string;
            /**
             * Updated At
             * Format: date-time
             */
            updated_at: string;
            /** @description The creator; null if the account was deleted. */
            created_by: components["schemas"]["UserBasic"] | null;
            /**
             * Ci Prompt
             * @description The instructions for the agent when the checks of its branch fail.
             * @example null
             */
            ci_prompt: string | null;
        };
        /**
         * TaskPage
         * @description A page of tasks, newest first.
         */
        TaskPage: {
            /**
             * Count
             * @description The number of tasks that match the filters.
             */
            count: number;
            /**
             * Next
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            next: string | null;
            /**
             * Previous
             * Format: uri
             * @description Complete URL of that page, null if there is none.
             * @example null
             */
            previous: string | null;
            /** Results */
            results: components["schemas"]["TaskOut"][];
        };
        /**
         * Urgency
         * @description The loudness with which a device announces a push, from the lowest to the highest.
         *
         *     The urgency of a question is that of the pushes about it.
         * @enum {string}
         */
        Urgency: "low" | "normal" | "high";
        /**
         * UserBasic
         * @description A user, in the short form that other objects contain.
         */
        UserBasic: {
            /** Id */
            id: number;
            /**
             * Uuid
             * Format: uuid
             */
            uuid: string;
            /**
             * Distinct Id
             * @description Stable identifier in analytics.
             * @example f0a1b2c3d4e5
             */
            distinct_id: string;
            /**
             * First Name
             * @example Ada
             */
            first_name: string;
            /**
             * Last Name
             * @example Example
             */
            last_name: string;
            /**
             * Email
             * @example ada@example.com
             */
            email: string;
            /** Is Email Verified */
            is_email_verified: boolean | null;
            /**
             * Hedgehog Config
             * @description The appearance of the user's avatar.
             * @example null
             */
            hedgehog_config: {
                [key: string]: unknown;
            } | null;
            /**
             * Role At Organization
             * @description The user's role, in the user's own words.
             * @example null
             */
            role_at_organization: string | null;
        };
        /**
         * UserOut
         * @description The user that the caller's API key belongs to, with their current project and organizations.
         */
        UserOut: {
            /** Id */
            id: number;
            /**
             * Uuid
             * Format: uuid
             */
            uuid: string;
            /**
             * Distinct Id
             * @description Stable identifier in analytics.
             * @example f0a1b2c3d4e5
             */
            distinct_id: string;
            /**
             * First Name
             * @example Ada
             */
            first_name: string;
            /**
             * Last Name
             * @example Example
             */
            last_name: string;
            /**
             * Email
             * @example ada@example.com
             */
            email: string;
            /**
             * Is Staff
             * @description Whether the user operates this service.
             * @example false
             */
            is_staff: boolean;
            /** Is Email Verified */
            is_email_verified: boolean | null;
            /**
             * Date Joined
             * Format: date-time
             */
            date_joined: string;
            /**
             * Hedgehog Config
             * @description The appearance of the user's avatar.
             * @example null
             */
            hedgehog_config: {
                [key: string]: unknown;
            } | null;
            /**
             * Role At Organization
             * @description The user's role, in the user's own words.
             * @example null
             */
            role_at_organization: string | null;
            /** @description The current project (`@current`). */
            team: components["schemas"]["ProjectOut"] | null;
            /** @description The organization of that project. */
            organization: components["schemas"]["OrganizationOut"] | null;
            /**
             * Organizations
             * @description All organizations of the caller's projects.
             */
            organizations: components["schemas"]["OrganizationOut"][];
        };
        /**
         * VapidPublicKeyOut
         * @description The public key with which a browser subscribes to web push (VAPID).
         */
        VapidPublicKeyOut: {
            /**
             * Public Key
             * @description The `applicationServerKey`, in base64url.
             * @example BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM
             */
            public_key: string;
        };
        /**
         * ViewerOut
         * @description A user who looks at a task now, on a device that shows the task in focus.
         */
        ViewerOut: {
            /**
             * Task
             * Format: uuid
             * @description The task.
             */
            task: string;
            /** @description The user who looks at the task. */
            user: components["schemas"]["UserBasic"];
        };
        /**
         * ViewersOut
         * @description The users who look at tasks of a project now. The one with the latest report of a device is first.
         */
        ViewersOut: {
            /** Results */
            results: components["schemas"]["ViewerOut"][];
        };
        /**
         * WatchedBy
         * @description The device that showed the task when a push about the task was deferred.
         */
        WatchedBy: {
            /**
             * Device
             * Format: uuid
             * @description The device that showed the task.
             */
            device: string;
            /**
             * Seconds Ago
             * @description Age of the device's last beat when the decision was made.
             */
            seconds_ago: number;
        };
        /**
         * WebhookOut
         * @description The result of a webhook that a code host sent: the run that was started, or the reason why none was started.
         */
        WebhookOut: {
            /**
             * Status
             * @description `started`: a run to correct a failed check.
             * @enum {string}
             */
            status: "started" | "ignored";
            /**
             * Reason
             * @description The reason.
             * @example No run pushed this commit.
             */
            reason: string;
            /**
             * Run
             * @description The run that was started.
             */
            run: string | null;
        };
        /**
         * ErrorOut
         * @description The body of an error response: exactly the keys `type`, `code`, `detail` and `attr`.
         */
        ErrorOut: {
            /**
             * Type
             * @description The kind of error.
             * @enum {string}
             */
            type: "validation_error" | "invalid_request" | "authentication_error" | "throttled_error" | "server_error";
            /**
             * Code
             * @description Machine-readable code of the error.
             * @example not_found
             */
            code: string;
            /**
             * Detail
             * @description The error, as a text for people.
             * @example Not found.
             */
            detail: string;
            /**
             * Attr
             * @description The invalid field, with nested keys joined by `__`; null if the error concerns no single field.
             */
            attr: string | null;
        };
        /**
         * QuestionSettledOut
         * @description The error response to an answer to a closed question. It contains the answer that closed the question.
         */
        QuestionSettledOut: {
            /**
             * Type
             * @description The kind of error.
             * @enum {string}
             */
            type: "validation_error" | "invalid_request" | "authentication_error" | "throttled_error" | "server_error";
            /**
             * Code
             * @description Machine-readable code of the error.
             * @example not_found
             */
            code: string;
            /**
             * Detail
             * @description The error, as a text for people.
             * @example Not found.
             */
            detail: string;
            /**
             * Attr
             * @description The invalid field, with nested keys joined by `__`; null if the error concerns no single field.
             */
            attr: string | null;
            /** @description The answer that counts. */
            extra: components["schemas"]["Winner"];
        };
        /**
         * Winner
         * @description The answer that closed a question, and the person, channel and time of the answer; all null without an answer.
         */
        Winner: {
            /**
             * Answer
             * @description The answer: `option_id`, `action` or `text`.
             * @example {
             *       "option_id": "allow"
             *     }
             */
            answer: {
                [key: string]: unknown;
            } | null;
            answered_by: components["schemas"]["UserBasic"] | null;
            /** @description The channel by which the answer arrived. */
            answered_via: components["schemas"]["AnswerVia"] | null;
            /** Answered At */
            answered_at: string | null;
        };
        /**
         * RunRefusedOut
         * @description The error response if a run cannot be created as requested.
         */
        RunRefusedOut: {
            /**
             * Detail
             * @description The error, as a text for people.
             * @example Invalid resume_from_run_id
             */
            detail: string;
            /**
             * Missing Artifact Ids
             * @description The missing artifacts, as the request named them.
             */
            missing_artifact_ids?: string[];
        };
        /**
         * StateRefusedOut
         * @description The error response if the state of an artifact or a run does not allow the request.
         */
        StateRefusedOut: {
            /**
             * Error
             * @example Run is already completed
             */
            error: string;
            /**
             * Missing Artifact Ids
             * @description The files that the run does not have, as the request named them.
             */
            missing_artifact_ids?: string[];
        };
        /**
         * UsageLimitOut
         * @description The error response if the usage limit of a project does not allow another cloud run.
         */
        UsageLimitOut: {
            /**
             * Type
             * @constant
             */
            type: "rate_limited";
            /**
             * Code
             * @constant
             */
            code: "usage_limit_exceeded";
            /**
             * Error
             * @description The error, as a text for people.
             * @example This project is over its usage limit.
             */
            error: string;
            /**
             * Is Pro
             * @description Whether the project has a paid plan already.
             */
            is_pro: boolean;
            /** @description The exceeded limit, if it is known. */
            limit_type?: components["schemas"]["LimitType"];
            /**
             * Reset At
             * Format: date-time
             * @description The time from which another run is allowed, if it is known.
             */
            reset_at?: string;
        };
        /**
         * LimitType
         * @description The kind of usage limit that a project exceeded: `burst` for a short period, `sustained` for a long one.
         * @enum {string}
         */
        LimitType: "burst" | "sustained";
        /**
         * PresenceIn
         * @description A report that a device shows the task now; it is valid for 60 seconds.
         */
        PresenceIn: {
            /**
             * Device Id
             * Format: uuid
             * @description Id of the device, as its registration answered it, or of a console session of the caller.
             */
            device_id: string;
            /**
             * Focused
             * @description Whether a person looks at the device; only then are pushes deferred.
             */
            focused?: boolean;
            /**
             * Seen Seq
             * @description The `seq` of the last event that the device has shown, as in the list of events; a value beyond the newest counts as the newest.
             */
            seen_seq?: number | null;
        };
        /**
         * PresenceLeaveIn
         * @description A report that a device no longer shows the task.
         */
        PresenceLeaveIn: {
            /**
             * Device Id
             * Format: uuid
             * @description Id of the device, as its registration answered it, or of a console session of the caller.
             */
            device_id?: string;
        };
        /**
         * TaskIn
         * @description The writable fields of a task. Every field is optional; an update changes only the given fields.
         */
        TaskIn: {
            /**
             * Title
             * @description Derived from the description when absent or empty.
             * @example Fix the login page
             */
            title?: string;
            /**
             * Title Manually Set
             * @description Whether a person chose the title; follows from `title` unless given.
             */
            title_manually_set?: boolean;
            /**
             * Description
             * @description The instructions for the agent.
             * @example Say hello:
             *
             *     ```file path=hello.txt
             *     Hello
             *     ```
             */
            description?: string;
            /**
             * Origin Product
             * @description The product that the task came from; it decides who can see the task. Fixed at creation. Default: `user_created`.
             * @enum {string}
             */
            origin_product?: "onboarding" | "error_tracking" | "eval_clusters" | "user_created" | "automation" | "slack" | "support_queue" | "session_summaries" | "posthog_ai" | "experiments" | "signal_report" | "signals_scout" | "support_reply" | "hogdesk" | "image_builder";
            /**
             * Repository
             * @description `organization/repository` to work in.
             * @example taskbeacon/taskbeacon
             */
            repository?: string | null;
            /**
             * Github Integration
             * @description Default: the project's first GitHub integration.
             */
            github_integration?: number | null;
            /**
             * Github User Integration
             * Format: uuid
             * @description The caller's own GitHub integration.
             */
            github_user_integration?: string | null;
            /**
             * Signal Report
             * Format: uuid
             * @description The signal report that the task is about. Fixed at creation.
             */
            signal_report?: string | null;
            /**
             * Signal Report Task Relationship
             * @description How the task relates to the report. Write only, fixed at creation.
             * @enum {string|null}
             */
            signal_report_task_relationship?: "implementation" | null;
            /**
             * Json Schema
             * @description JSON Schema that the output of every run must satisfy. Any JSON is stored, but no output satisfies one that is no valid JSON Schema.
             */
            json_schema?: unknown;
            /**
             * Internal
             * @description Whether the task is internal, and hidden from lists by default.
             */
            internal?: boolean;
            /**
             * Archived
             * @description Whether the task is archived; lists omit archived tasks by default.
             */
            archived?: boolean;
            /**
             * Ci Prompt
             * @description The instructions for the agent when the checks of its branch fail.
             */
            ci_prompt?: string | null;
        };
        /**
         * SummariesIn
         * @description A request for summaries of the tasks with the given ids.
         */
        SummariesIn: {
            /**
             * Ids
             * @description Ids of tasks; the answer omits tasks that the caller cannot see.
             */
            ids: string[];
        };
        /**
         * RunIn
         * @description The options of a new run; an empty body selects all defaults. Null is refused except for `branch`.
         */
        RunIn: {
            /**
             * Mode
             * @description `interactive` waits for further messages after the first turn. Default: `background`.
             * @enum {string}
             */
            mode?: "interactive" | "background";
            /**
             * Branch
             * @description Branch to start from; default: the repository's own default branch.
             */
            branch?: string | null;
            /**
             * Resume From Run Id
             * Format: uuid
             * @description Earlier run of the same task to resume.
             */
            resume_from_run_id?: string;
            /**
             * Pending User Message
             * @description A message for the agent, after the task's description.
             */
            pending_user_message?: string;
            /**
             * Pending User Artifact Ids
             * @description Staged artifacts of this task to hand to the agent.
             */
            pending_user_artifact_ids?: string[];
            /**
             * Sandbox Environment Id
             * Format: uuid
             * @description Sandbox environment to run in.
             */
            sandbox_environment_id?: string;
            /**
             * Pr Authorship Mode
             * @description The account that a pull request is opened with.
             * @enum {string}
             */
            pr_authorship_mode?: "user" | "bot";
            /**
             * Run Source
             * @description The trigger of the run; `signal_report` forces authorship `bot`.
             * @enum {string}
             */
            run_source?: "manual" | "signal_report";
            /**
             * Signal Report Id
             * @description The signal report that caused the run.
             */
            signal_report_id?: string;
            /**
             * Runtime Adapter
             * @description The agent: `claude`, `codex`, or one that the operator enabled; needs `model` too. Without it the built-in `runbook` agent performs the run.
             * @example claude
             * @example codex
             */
            runtime_adapter?: string;
            /**
             * Model
             * @description The agent's model; needs `runtime_adapter` too.
             */
            model?: string;
            /**
             * Reasoning Effort
             * @description An effort that the model supports.
             * @enum {string}
             */
            reasoning_effort?: "low" | "medium" | "high" | "xhigh" | "max";
            /**
             * Github User Token
             * @description Token to act in the caller's name; never stored in the run, never shown.
             */
            github_user_token?: string;
            /**
             * Initial Permission Mode
             * @description The actions the agent may take without asking; needs `runtime_adapter`.
             * @enum {string}
             */
            initial_permission_mode?: "default" | "acceptEdits" | "plan" | "bypassPermissions" | "auto" | "read-only" | "full-access";
            /**
             * Token Budget
             * @description Tokens that all runs of the task together may use by the end of this run; the operator's own limit applies too. An extension of the reference API.
             */
            token_budget?: number;
        };
        /**
         * RunCreateIn
         * @description The options of a run that is created without being started: those of `RunIn` without `resume_from_run_id`.
         */
        RunCreateIn: {
            /**
             * Mode
             * @description `interactive` waits for further messages after the first turn. Default: `background`.
             * @enum {string}
             */
            mode?: "interactive" | "background";
            /**
             * Branch
             * @description Branch to start from; default: the repository's own default branch.
             */
            branch?: string | null;
            /**
             * Resume From Run Id
             * @description Ignored: only `run` resumes an earlier run.
             */
            resume_from_run_id?: unknown;
            /**
             * Pending User Message
             * @description A message for the agent, after the task's description.
             */
            pending_user_message?: string;
            /**
             * Pending User Artifact Ids
             * @description Staged artifacts of this task to hand to the agent.
             */
            pending_user_artifact_ids?: string[];
            /**
             * Sandbox Environment Id
             * Format: uuid
             * @description Sandbox environment to run in.
             */
            sandbox_environment_id?: string;
            /**
             * Pr Authorship Mode
             * @description The account that a pull request is opened with.
             * @enum {string}
             */
            pr_authorship_mode?: "user" | "bot";
            /**
             * Run Source
             * @description The trigger of the run; `signal_report` forces authorship `bot`.
             * @enum {string}
             */
            run_source?: "manual" | "signal_report";
            /**
             * Signal Report Id
             * @description The signal report that caused the run.
             */
            signal_report_id?: string;
            /**
             * Runtime Adapter
             * @description The agent: `claude`, `codex`, or one that the operator enabled; needs `model` too. Without it the built-in `runbook` agent performs the run.
             * @example claude
             * @example codex
             */
            runtime_adapter?: string;
            /**
             * Model
             * @description The agent's model; needs `runtime_adapter` too.
             */
            model?: string;
            /**
             * Reasoning Effort
             * @description An effort that the model supports.
             * @enum {string}
             */
            reasoning_effort?: "low" | "medium" | "high" | "xhigh" | "max";
            /**
             * Github User Token
             * @description Token to act in the caller's name; never stored in the run, never shown.
             */
            github_user_token?: string;
            /**
             * Initial Permission Mode
             * @description The actions the agent may take without asking; needs `runtime_adapter`.
             * @enum {string}
             */
            initial_permission_mode?: "default" | "acceptEdits" | "plan" | "bypassPermissions" | "auto" | "read-only" | "full-access";
            /**
             * Token Budget
             * @description Tokens that all runs of the task together may use by the end of this run; the operator's own limit applies too. An extension of the reference API.
             */
            token_budget?: number;
            /**
             * Environment
             * @description `local` (the default): the client performs it; `cloud`: a worker performs it after `start`.
             * @enum {string}
             */
            environment?: "local" | "cloud";
        };
        /**
         * RunUpdateIn
         * @description Changes to a run; absent fields keep their values.
         */
        RunUpdateIn: {
            /**
             * Status
             * @description The new status; any, unless the run has ended.
             * @enum {string}
             */
            status?: "not_started" | "queued" | "in_progress" | "completed" | "failed" | "cancelled";
            /**
             * Branch
             * @description Branch of the run.
             */
            branch?: string | null;
            /**
             * Stage
             * @description The progress of the run, as a text of the client.
             */
            stage?: string | null;
            /**
             * Output
             * @description Keys to set in the output; null empties the output.
             */
            output?: Record<string, never> | null;
            /**
             * State
             * @description Keys to set in the state; protected keys are not changed.
             */
            state?: Record<string, never>;
            /**
             * State Remove Keys
             * @description Keys to remove from the state; protected keys are not removed.
             */
            state_remove_keys?: string[] | null;
            /**
             * Error Message
             * @description The reason of the failure, as a text that people can act on.
             */
            error_message?: string | null;
        };
        /**
         * SetOutputIn
         * @description The new output of a run. If the body has no key `output`, the whole body is the output (contract 13.11).
         */
        SetOutputIn: {
            /**
             * Output
             * @description Replaces the output; must satisfy the task's `json_schema`.
             */
            output?: unknown;
        };
        /**
         * StartIn
         * @description A message and files for the agent of a run that is to be started.
         */
        StartIn: {
            /**
             * Pending User Message
             * @description A message for the agent, after the task's description.
             */
            pending_user_message?: string;
            /**
             * Pending User Artifact Ids
             * @description Files of this run to hand to the agent.
             */
            pending_user_artifact_ids?: string[];
        };
        /**
         * AppendIn
         * @description Entries to append to the log of a run.
         */
        AppendIn: {
            /**
             * Entries
             * @description Usually `{type, timestamp, notification}`. Chunks of agent messages are not stored: the whole message follows them.
             */
            entries: Record<string, never>[];
        };
        /**
         * RelayIn
         * @description A message of an agent to relay to a chat outside the service. It is written to the log of the agent's run.
         */
        RelayIn: {
            /**
             * Text
             * @description The message.
             */
            text: string;
            /**
             * Text Parts
             * @description The parts of the message, if it has parts.
             */
            text_parts?: string[];
            /**
             * Message Id
             * @description The client's id of the message.
             */
            message_id?: string | null;
            /**
             * Trace Id
             * @description The client's trace id of the message.
             */
            trace_id?: string | null;
        };
        /**
         * CommandIn
         * @description A command to an agent as a JSON-RPC 2.0 request; the `method` decides which `params` belong to it.
         */
        CommandIn: {
            /**
             * Jsonrpc
             * @description Always `2.0`.
             * @enum {string}
             */
            jsonrpc: "2.0";
            /**
             * Method
             * @description The command; also with the prefix `posthog/` or `_posthog/`.
             * @enum {string}
             */
            method: "user_message" | "cancel" | "close" | "permission_response" | "set_config_option";
            /**
             * Params
             * @description `user_message`: `content` (text, or a list of ACP content blocks), `artifact_ids` (files of this run), or both. `permission_response`: `requestId`, `optionId`, and perhaps `customInput` and `answers` (texts by name). `set_config_option`: `configId` and `value`. `cancel`, `close`: none.
             */
            params?: Record<string, never>;
            /**
             * Id
             * @description The client's id of the request, repeated in the response and in the command's log entries.
             */
            id?: string | number | null;
        };
        /**
         * PrepareIn
         * @description A request for signed upload forms: the descriptions of the files that a client wants to upload.
         */
        PrepareIn: {
            /**
             * Artifacts
             * @description Files to upload, in the order of the answer.
             */
            artifacts: components["schemas"]["PrepareItem"][];
        };
        /**
         * PrepareItem
         * @description The description of a file that a client wants to upload.
         */
        PrepareItem: {
            /**
             * Name
             * @description File name; everything up to its last `/` is dropped.
             * @example screenshot.png
             */
            name: string;
            /**
             * Type
             * @description The role of the file in the run.
             * @enum {string}
             */
            type: "plan" | "context" | "reference" | "output" | "artifact" | "tree_snapshot" | "user_attachment";
            /**
             * Source
             * @description The origin of the file, for people.
             */
            source?: string;
            /**
             * Size
             * @description Size in bytes; the form accepts no larger file.
             */
            size: number;
            /**
             * Content Type
             * @description Media type of the file.
             * @example image/png
             */
            content_type?: string;
        };
        /**
         * FinalizeIn
         * @description The files that a client has uploaded with signed forms; all of them are accepted, or none.
         */
        FinalizeIn: {
            /**
             * Artifacts
             * @description The uploaded files; all are accepted, or none.
             */
            artifacts: components["schemas"]["FinalizeItem"][];
        };
        /**
         * FinalizeItem
         * @description A file that a client has uploaded with a signed form, to be verified and stored.
         */
        FinalizeItem: {
            /**
             * Id
             * @description The id of the prepared artifact.
             */
            id: string;
            /**
             * Name
             * @description File name; everything up to its last `/` is dropped.
             * @example screenshot.png
             */
            name: string;
            /**
             * Type
             * @description The role of the file in the run.
             * @enum {string}
             */
            type: "plan" | "context" | "reference" | "output" | "artifact" | "tree_snapshot" | "user_attachment";
            /**
             * Source
             * @description The origin of the file, for people.
             */
            source?: string;
            /**
             * Storage Path
             * @description The `storage_path` of the file.
             */
            storage_path: string;
            /**
             * Content Type
             * @description Media type of the file.
             * @example image/png
             */
            content_type?: string;
        };
        /**
         * InlineIn
         * @description Files to store on a run: all of them are stored, or none. For larger files prepare an upload.
         */
        InlineIn: {
            /**
             * Artifacts
             * @description Files, each with its content.
             */
            artifacts: components["schemas"]["InlineItem"][];
        };
        /**
         * InlineItem
         * @description A file to store on a run, with its content.
         */
        InlineItem: {
            /**
             * Name
             * @description File name; everything up to its last `/` is dropped.
             * @example screenshot.png
             */
            name: string;
            /**
             * Type
             * @description The role of the file in the run.
             * @enum {string}
             */
            type: "plan" | "context" | "reference" | "output" | "artifact" | "tree_snapshot" | "user_attachment";
            /**
             * Source
             * @description The origin of the file, for people.
             */
            source?: string;
            /**
             * Content
             * @description The file, encoded by `content_encoding`.
             */
            content: string;
            /**
             * Content Encoding
             * @description `base64` for binary files. Default: `utf-8`.
             * @enum {string}
             */
            content_encoding?: "utf-8" | "base64";
            /**
             * Content Type
             * @description Media type of the file.
             * @example image/png
             */
            content_type?: string;
        };
        /**
         * PathIn
         * @description A request for one file of a run, by its `storage_path`.
         */
        PathIn: {
            /**
             * Storage Path
             * @description The `storage_path` of the file.
             */
            storage_path: string;
        };
        /**
         * SandboxEnvironmentIn
         * @description A request for a new sandbox environment: the hosts and environment variables that agents of its runs get.
         */
        SandboxEnvironmentIn: {
            /**
             * Network Access Level
             * @description The hosts that agents can reach. `none`: no host; `model-only`: the host of their model; `trusted`: package registries, code hosts and `allowed_domains`; `custom`: `allowed_domains`; `full`: all hosts. The operator may allow less. A new environment has `trusted`.
             * @enum {string}
             */
            network_access_level?: "none" | "model-only" | "trusted" | "custom" | "full";
            /**
             * Allowed Domains
             * @description Host names; `*.example.com` matches all names below example.com, but not itself.
             */
            allowed_domains?: string[];
            /**
             * Include Default Domains
             * @description Whether `custom` has the default domains of `trusted` too.
             */
            include_default_domains?: boolean;
            /**
             * Repositories
             * @description Repositories that the environment is meant for, as a hint for clients; not enforced.
             */
            repositories?: string[];
            /**
             * Environment Variables
             * @description Environment variables of the agent, by name. Stored encrypted and never shown; in an update they replace all existing variables.
             */
            environment_variables?: {
                [key: string]: string;
            };
            /**
             * Private
             * @description Whether only the creator can use the environment (the default of a new one), or the whole project.
             */
            private?: boolean;
            /**
             * Name
             * @description Name of the environment, for people.
             * @example Web app
             */
            name: string;
        };
        /**
         * SandboxEnvironmentUpdateIn
         * @description A request to change a sandbox environment; absent fields keep their values.
         */
        SandboxEnvironmentUpdateIn: {
            /**
             * Network Access Level
             * @description The hosts that agents can reach. `none`: no host; `model-only`: the host of their model; `trusted`: package registries, code hosts and `allowed_domains`; `custom`: `allowed_domains`; `full`: all hosts. The operator may allow less. A new environment has `trusted`.
             * @enum {string}
             */
            network_access_level?: "none" | "model-only" | "trusted" | "custom" | "full";
            /**
             * Allowed Domains
             * @description Host names; `*.example.com` matches all names below example.com, but not itself.
             */
            allowed_domains?: string[];
            /**
             * Include Default Domains
             * @description Whether `custom` has the default domains of `trusted` too.
             */
            include_default_domains?: boolean;
            /**
             * Repositories
             * @description Repositories that the environment is meant for, as a hint for clients; not enforced.
             */
            repositories?: string[];
            /**
             * Environment Variables
             * @description Environment variables of the agent, by name. Stored encrypted and never shown; in an update they replace all existing variables.
             */
            environment_variables?: {
                [key: string]: string;
            };
            /**
             * Private
             * @description Whether only the creator can use the environment (the default of a new one), or the whole project.
             */
            private?: boolean;
            /**
             * Name
             * @description Name of the environment, for people.
             * @example Web app
             */
            name?: string;
        };
        /**
         * EndpointIn
         * @description The fields of a new webhook endpoint.
         */
        EndpointIn: {
            /**
             * Description
             * @description Description of the endpoint, for people; may be empty.
             */
            description?: string;
            /**
             * Payload
             * @description `thin`, the default: ids, statuses and a link. `full`: also the task and the run at the time of the event; above 20 kB it is cut to a thin body with `truncated`.
             * @enum {string}
             */
            payload?: "thin" | "full";
            /** @description Only events of these tasks; null: of all tasks that the caller can see. */
            task_filter?: components["schemas"]["TaskFilterIn"] | null;
            /**
             * Enabled
             * @description Whether events are sent; a new endpoint is enabled.
             */
            enabled?: boolean;
            /**
             * Url
             * @description The receiver: HTTPS on port 443; where the operator has opened private networks, HTTP and other ports too. With a host name, no user, no fragment, ASCII only.
             * @example https://hooks.example.com/taskbeacon
             */
            url: string;
            /**
             * Event Types
             * @description Types of `webhook_event_types`, families (`run.*`), or `*` for all; repeated ones are dropped.
             * @example [
             *       "run.completed",
             *       "question.*"
             *     ]
             */
            event_types: string[];
        };
        /**
         * TaskFilterIn
         * @description The task filter of a webhook endpoint. The endpoint gets only the events of tasks that match all given fields.
         */
        TaskFilterIn: {
            /**
             * Created By
             * @description Only tasks of this creator: a user's id, or `me` for the caller.
             */
            created_by?: number | "me";
            /**
             * Repository
             * @description `organization/repository`, any case.
             */
            repository?: string | null;
            /**
             * Origin Product
             * @description The product that the task came from.
             * @enum {string|null}
             */
            origin_product?: "onboarding" | "error_tracking" | "eval_clusters" | "user_created" | "automation" | "slack" | "support_queue" | "session_summaries" | "posthog_ai" | "experiments" | "signal_report" | "signals_scout" | "support_reply" | "hogdesk" | "image_builder" | null;
        };
        /**
         * EndpointUpdateIn
         * @description Changes to a webhook endpoint; absent fields keep their values.
         */
        EndpointUpdateIn: {
            /**
             * Description
             * @description Description of the endpoint, for people; may be empty.
             */
            description?: string;
            /**
             * Payload
             * @description `thin`, the default: ids, statuses and a link. `full`: also the task and the run at the time of the event; above 20 kB it is cut to a thin body with `truncated`.
             * @enum {string}
             */
            payload?: "thin" | "full";
            /** @description Only events of these tasks; null: of all tasks that the caller can see. */
            task_filter?: components["schemas"]["TaskFilterIn"] | null;
            /**
             * Enabled
             * @description Whether events are sent; a new endpoint is enabled.
             */
            enabled?: boolean;
            /**
             * Url
             * @description The receiver: HTTPS on port 443; where the operator has opened private networks, HTTP and other ports too. With a host name, no user, no fragment, ASCII only.
             * @example https://hooks.example.com/taskbeacon
             */
            url?: string;
            /**
             * Event Types
             * @description Types of `webhook_event_types`, families (`run.*`), or `*` for all; repeated ones are dropped.
             * @example [
             *       "run.completed",
             *       "question.*"
             *     ]
             */
            event_types?: string[];
        };
        /**
         * RotateIn
         * @description A request to replace the secret of a webhook endpoint, and the time for which the old secret stays valid.
         */
        RotateIn: {
            /**
             * Expire Old After Seconds
             * @description The seconds for which both secrets sign; default: a day.
             */
            expire_old_after_seconds?: number;
        };
        /**
         * RecoverIn
         * @description A request to send a webhook endpoint the messages that it has not received.
         *
         *     The messages are selected by the time of their event and the result of their delivery.
         */
        RecoverIn: {
            /**
             * Since
             * Format: date-time
             * @description Only events from this time on.
             */
            since: string;
            /**
             * Until
             * Format: date-time
             * @description Only events up to this time; null: up to now.
             */
            until?: string | null;
            /**
             * Only
             * @description `failed`, the default: deliveries that failed or were cancelled. `all`: also events without a delivery because the endpoint was disabled. Delivered messages are not sent again.
             * @enum {string}
             */
            only?: "failed" | "all";
        };
        /**
         * PushTokenIn
         * @description A device to register for pushes.
         */
        PushTokenIn: {
            /**
             * Token
             * @description Expo's push token, at most 512 characters; for `web`, the browser's subscription as JSON.
             */
            token: string;
            /**
             * Platform
             * @description The platform of the device.
             * @enum {string}
             */
            platform: "ios" | "android" | "web";
            /**
             * Channels
             * @description The channels that the Android app has created, such as `questions` and `results`. A push names a channel only if the app has it, since Android hides pushes of an unknown channel.
             */
            channels?: string[];
        };
        /**
         * UnregisterIn
         * @description A device to unregister from pushes.
         */
        UnregisterIn: {
            /**
             * Token
             * @description The token that the device was registered with.
             */
            token: string;
        };
        /**
         * PushTestIn
         * @description A request for a test push to one of the caller's devices.
         */
        PushTestIn: {
            /**
             * Device Id
             * Format: uuid
             * @description Default: the caller's most recently seen device.
             */
            device_id?: string;
        };
        /**
         * PreferencesIn
         * @description Changes to the caller's notification preferences; absent fields keep their values.
         */
        PreferencesIn: {
            /**
             * Completed
             * @description Whether to push when a run is completed.
             */
            completed?: boolean;
            /**
             * Failed
             * @description Whether to push when a run fails.
             */
            failed?: boolean;
            /**
             * Cancelled
             * @description Whether to push when a run is cancelled.
             */
            cancelled?: boolean;
            /**
             * Awaiting
             * @description Whether to push when an agent needs input.
             */
            awaiting?: boolean;
            /**
             * Notify User
             * @description Whether to push messages of agents.
             */
            notify_user?: boolean;
            /**
             * Quiet Hours
             * @description The times without pushes; null: none.
             */
            quiet_hours?: {
                /** @example 22:00 */
                start: string;
                /**
                 * @description End of the quiet hours; on the next day unless later than `start`.
                 * @example 07:00
                 */
                end: string;
                /**
                 * @description IANA name of the time zone.
                 * @example Europe/Berlin
                 */
                timezone: string;
                /** @description Days on which the quiet hours start; default: all. */
                days?: ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[] | null;
            } | null;
            /**
             * Allow During Quiet
             * @description Classes of pushes that quiet hours let through, such as `high`.
             */
            allow_during_quiet?: ("low" | "normal" | "high")[];
            /**
             * Push Text
             * @description How much detail a push shows: `generic` names neither task nor question, `title` the task, `full` also the question. Expo, Apple and Google can read pushes to phones; those to browsers are encrypted. A project may allow less.
             * @enum {string}
             */
            push_text?: "generic" | "title" | "full";
            /**
             * Reminder After Seconds
             * @description After how many seconds a question that is still open is pushed once more; null: never.
             */
            reminder_after_seconds?: number | null;
        };
        /**
         * AnswerIn
         * @description An answer to a question. The question's kind decides which one of `option_id`, `action` and `text` it has.
         */
        AnswerIn: {
            /**
             * Digest
             * @description The digest of the question that was shown; a different one is refused.
             */
            digest?: string | null;
            /**
             * Option Id
             * @description Answers a `permission`.
             */
            option_id?: string | null;
            /**
             * Action
             * @description Answers a `form` or a `url`; `cancel` also cancels the action that the agent asked for.
             * @enum {string|null}
             */
            action?: "accept" | "decline" | "cancel" | null;
            /**
             * Content
             * @description With `accept`: the fields of a `form`, by its `schema`.
             */
            content?: Record<string, never> | null;
            /**
             * Text
             * @description Answers a `message`.
             */
            text?: string | null;
            /**
             * Custom Input
             * @description A note to the agent, with `option_id`.
             */
            custom_input?: string | null;
        };
        /**
         * SnoozeIn
         * @description A request to suspend notifications about a question: either `until` a time, or for a number of `seconds`.
         */
        SnoozeIn: {
            /**
             * Until
             * Format: date-time
             * @description Until this time, at most 24 hours from now.
             */
            until?: string | null;
            /**
             * Seconds
             * @description For how many seconds from now.
             */
            seconds?: number | null;
        };
        /**
         * ActionIn
         * @description An answer to a question, sent with an action token. It is empty if the token itself names the chosen option.
         */
        ActionIn: {
            /**
             * Digest
             * @description The digest of the question that was shown; a different one is refused.
             */
            digest?: string | null;
            /**
             * Option Id
             * @description Answers a `permission`.
             */
            option_id?: string | null;
            /**
             * Action
             * @description Answers a `form` or a `url`; `cancel` also cancels the action that the agent asked for.
             * @enum {string|null}
             */
            action?: "accept" | "decline" | "cancel" | null;
            /**
             * Content
             * @description With `accept`: the fields of a `form`, by its `schema`.
             */
            content?: Record<string, never> | null;
            /**
             * Text
             * @description Answers a `message`.
             */
            text?: string | null;
            /**
             * Custom Input
             * @description A note to the agent, with `option_id`.
             */
            custom_input?: string | null;
        };
        /**
         * SignIn
         * @description The credential that opens a console session: an API key, or the code of a login link.
         */
        SignIn: {
            /**
             * Api Key
             * @description A personal API key; the session has the same rights.
             */
            api_key?: string | null;
            /**
             * Code
             * @description The part of a login link after `#`. It is valid once, for a minute.
             */
            code?: string | null;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    tasks_presence_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PresenceIn"];
            };
        };
        responses: {
            /** @description The device counts as watching. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_presence_destroy: {
        parameters: {
            query?: {
                /** @description Id of the device, as its registration answered it, or of a console session of the caller. The body has precedence. */
                device_id?: string;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["PresenceLeaveIn"];
            };
        };
        responses: {
            /** @description The device does not count as watching. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    viewers_list: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The viewers, each with the task that they look at now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "results": [
                     *         {
                     *           "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "user": {
                     *             "id": 1,
                     *             "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *             "distinct_id": "f0a1b2c3d4e5",
                     *             "first_name": "Ada",
                     *             "last_name": "Example",
                     *             "email": "ada@example.com",
                     *             "is_email_verified": true,
                     *             "hedgehog_config": null,
                     *             "role_at_organization": null
                     *           }
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["ViewersOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_list: {
        parameters: {
            query?: {
                /** @description `true`: only archived tasks; `all`: archived tasks too. By default archived tasks are omitted. */
                archived?: "false" | "true" | "all";
                /** @description Only tasks that the user with this id created. */
                created_by?: number;
                /** @description `true`: only internal tasks. Ignored unless the caller is staff. */
                internal?: boolean;
                /** @description Only tasks of repositories of this owner, in any case. */
                organization?: string;
                /** @description Product the task came from. */
                origin_product?: string;
                /** @description Only tasks of this repository: `organization/repository`, or the name alone, in any case. */
                repository?: string;
                /** @description Only tasks with this text in the title or description, or with this number (`TES-12`, `12`). */
                search?: string;
                /** @description Only tasks with a run in this stage. */
                stage?: string;
                /** @description Only tasks with a latest run of this status. */
                status?: "not_started" | "queued" | "in_progress" | "completed" | "failed" | "cancelled";
                /** @description Page size. Values above 100 are reduced to it; a value that is not a positive number means the default. */
                limit?: number;
                /** @description Number of results to skip. A value that is not a positive number means 0. */
                offset?: number;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of tasks. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "count": 1,
                     *       "next": null,
                     *       "previous": null,
                     *       "results": [
                     *         {
                     *           "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "task_number": 12,
                     *           "slug": "TES-12",
                     *           "title": "Say hello",
                     *           "title_manually_set": true,
                     *           "description": "Give the repository a page that says hello.",
                     *           "origin_product": "user_created",
                     *           "repository": "taskbeacon/taskbeacon",
                     *           "github_integration": null,
                     *           "github_user_integration": null,
                     *           "signal_report": null,
                     *           "json_schema": null,
                     *           "internal": false,
                     *           "archived": false,
                     *           "archived_at": null,
                     *           "latest_run": {
                     *             "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *             "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *             "stage": null,
                     *             "branch": null,
                     *             "status": "completed",
                     *             "environment": "cloud",
                     *             "runtime_adapter": "claude",
                     *             "provider": "anthropic",
                     *             "model": "claude-sonnet-5",
                     *             "reasoning_effort": "high",
                     *             "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
                     *             "error_message": null,
                     *             "output": {
                     *               "head_branch": "taskbeacon/tes-12-8e9f0a1b",
                     *               "summary": "Done: 2 steps."
                     *             },
                     *             "state": {
                     *               "mode": "background"
                     *             },
                     *             "artifacts": [
                     *               {
                     *                 "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *                 "name": "changes.patch",
                     *                 "type": "output",
                     *                 "source": "agent",
                     *                 "size": 213,
                     *                 "content_type": "text/x-patch",
                     *                 "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *                 "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *               }
                     *             ],
                     *             "created_at": "2026-03-01T10:00:00.123456Z",
                     *             "updated_at": "2026-03-01T10:00:00.123456Z",
                     *             "completed_at": "2026-03-01T10:00:00.123456Z"
                     *           },
                     *           "created_at": "2026-03-01T10:00:00.123456Z",
                     *           "updated_at": "2026-03-01T10:00:00.123456Z",
                     *           "created_by": {
                     *             "id": 1,
                     *             "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *             "distinct_id": "f0a1b2c3d4e5",
                     *             "first_name": "Ada",
                     *             "last_name": "Example",
                     *             "email": "ada@example.com",
                     *             "is_email_verified": true,
                     *             "hedgehog_config": null,
                     *             "role_at_organization": null
                     *           },
                     *           "ci_prompt": null
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["TaskPage"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_create: {
        parameters: {
            query?: never;
            header?: {
                /** @description A unique text that you choose for each operation. A request that is repeated with the same key within 24 hours is performed once; repetitions get the first response again, with `Idempotent-Replayed: true`. */
                "Idempotency-Key"?: string;
            };
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["TaskIn"];
            };
        };
        responses: {
            /** @description The new task. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "task_number": 12,
                     *       "slug": "TES-12",
                     *       "title": "Say hello",
                     *       "title_manually_set": true,
                     *       "description": "Give the repository a page that says hello.",
                     *       "origin_product": "user_created",
                     *       "repository": "taskbeacon/taskbeacon",
                     *       "github_integration": null,
                     *       "github_user_integration": null,
                     *       "signal_report": null,
                     *       "json_schema": null,
                     *       "internal": false,
                     *       "archived": false,
                     *       "archived_at": null,
                     *       "latest_run": {
                     *         "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "stage": null,
                     *         "branch": null,
                     *         "status": "completed",
                     *         "environment": "cloud",
                     *         "runtime_adapter": "claude",
                     *         "provider": "anthropic",
                     *         "model": "claude-sonnet-5",
                     *         "reasoning_effort": "high",
                     *         "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
                     *         "error_message": null,
                     *         "output": {
                     *           "head_branch": "taskbeacon/tes-12-8e9f0a1b",
                     *           "summary": "Done: 2 steps."
                     *         },
                     *         "state": {
                     *           "mode": "background"
                     *         },
                     *         "artifacts": [
                     *           {
                     *             "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *             "name": "changes.patch",
                     *             "type": "output",
                     *             "source": "agent",
                     *             "size": 213,
                     *             "content_type": "text/x-patch",
                     *             "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *             "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *           }
                     *         ],
                     *         "created_at": "2026-03-01T10:00:00.123456Z",
                     *         "updated_at": "2026-03-01T10:00:00.123456Z",
                     *         "completed_at": "2026-03-01T10:00:00.123456Z"
                     *       },
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z",
                     *       "created_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "ci_prompt": null
                     *     }
                     */
                    "application/json": components["schemas"]["TaskOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request conflicts with the current state of the resource. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_repositories_retrieve: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The repositories. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "repositories": [
                     *         "taskbeacon/taskbeacon"
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["RepositoriesOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_summaries_create: {
        parameters: {
            query?: {
                /** @description Page size. Values above 100 are reduced to it; a value that is not a positive number means the default. */
                limit?: number;
                /** @description Number of results to skip. A value that is not a positive number means 0. */
                offset?: number;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SummariesIn"];
            };
        };
        responses: {
            /** @description A page of summaries. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "count": 1,
                     *       "next": null,
                     *       "previous": null,
                     *       "results": [
                     *         {
                     *           "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "title": "Say hello",
                     *           "repository": "taskbeacon/taskbeacon",
                     *           "created_at": "2026-03-01T10:00:00.123456Z",
                     *           "updated_at": "2026-03-01T10:00:00.123456Z",
                     *           "latest_run": {
                     *             "status": "completed",
                     *             "environment": "cloud"
                     *           }
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["SummaryPage"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_retrieve: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The task. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "task_number": 12,
                     *       "slug": "TES-12",
                     *       "title": "Say hello",
                     *       "title_manually_set": true,
                     *       "description": "Give the repository a page that says hello.",
                     *       "origin_product": "user_created",
                     *       "repository": "taskbeacon/taskbeacon",
                     *       "github_integration": null,
                     *       "github_user_integration": null,
                     *       "signal_report": null,
                     *       "json_schema": null,
                     *       "internal": false,
                     *       "archived": false,
                     *       "archived_at": null,
                     *       "latest_run": {
                     *         "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "stage": null,
                     *         "branch": null,
                     *         "status": "completed",
                     *         "environment": "cloud",
                     *         "runtime_adapter": "claude",
                     *         "provider": "anthropic",
                     *         "model": "claude-sonnet-5",
                     *         "reasoning_effort": "high",
                     *         "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
                     *         "error_message": null,
                     *         "output": {
                     *           "head_branch": "taskbeacon/tes-12-8e9f0a1b",
                     *           "summary": "Done: 2 steps."
                     *         },
                     *         "state": {
                     *           "mode": "background"
                     *         },
                     *         "artifacts": [
                     *           {
                     *             "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *             "name": "changes.patch",
                     *             "type": "output",
                     *             "source": "agent",
                     *             "size": 213,
                     *             "content_type": "text/x-patch",
                     *             "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *             "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *           }
                     *         ],
                     *         "created_at": "2026-03-01T10:00:00.123456Z",
                     *         "updated_at": "2026-03-01T10:00:00.123456Z",
                     *         "completed_at": "2026-03-01T10:00:00.123456Z"
                     *       },
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z",
                     *       "created_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "ci_prompt": null
                     *     }
                     */
                    "application/json": components["schemas"]["TaskOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_update: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["TaskIn"];
            };
        };
        responses: {
            /** @description The updated task. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "task_number": 12,
                     *       "slug": "TES-12",
                     *       "title": "Say hello",
                     *       "title_manually_set": true,
                     *       "description": "Give the repository a page that says hello.",
                     *       "origin_product": "user_created",
                     *       "repository": "taskbeacon/taskbeacon",
                     *       "github_integration": null,
                     *       "github_user_integration": null,
                     *       "signal_report": null,
                     *       "json_schema": null,
                     *       "internal": false,
                     *       "archived": false,
                     *       "archived_at": null,
                     *       "latest_run": {
                     *         "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "stage": null,
                     *         "branch": null,
                     *         "status": "completed",
                     *         "environment": "cloud",
                     *         "runtime_adapter": "claude",
                     *         "provider": "anthropic",
                     *         "model": "claude-sonnet-5",
                     *         "reasoning_effort": "high",
                     *         "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
                     *         "error_message": null,
                     *         "output": {
                     *           "head_branch": "taskbeacon/tes-12-8e9f0a1b",
                     *           "summary": "Done: 2 steps."
                     *         },
                     *         "state": {
                     *           "mode": "background"
                     *         },
                     *         "artifacts": [
                     *           {
                     *             "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *             "name": "changes.patch",
                     *             "type": "output",
                     *             "source": "agent",
                     *             "size": 213,
                     *             "content_type": "text/x-patch",
                     *             "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *             "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *           }
                     *         ],
                     *         "created_at": "2026-03-01T10:00:00.123456Z",
                     *         "updated_at": "2026-03-01T10:00:00.123456Z",
                     *         "completed_at": "2026-03-01T10:00:00.123456Z"
                     *       },
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z",
                     *       "created_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "ci_prompt": null
                     *     }
                     */
                    "application/json": components["schemas"]["TaskOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_destroy: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Deleted; the response has no body. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_partial_update: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["TaskIn"];
            };
        };
        responses: {
            /** @description The updated task. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "task_number": 12,
                     *       "slug": "TES-12",
                     *       "title": "Say hello",
                     *       "title_manually_set": true,
                     *       "description": "Give the repository a page that says hello.",
                     *       "origin_product": "user_created",
                     *       "repository": "taskbeacon/taskbeacon",
                     *       "github_integration": null,
                     *       "github_user_integration": null,
                     *       "signal_report": null,
                     *       "json_schema": null,
                     *       "internal": false,
                     *       "archived": false,
                     *       "archived_at": null,
                     *       "latest_run": {
                     *         "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "stage": null,
                     *         "branch": null,
                     *         "status": "completed",
                     *         "environment": "cloud",
                     *         "runtime_adapter": "claude",
                     *         "provider": "anthropic",
                     *         "model": "claude-sonnet-5",
                     *         "reasoning_effort": "high",
                     *         "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
                     *         "error_message": null,
                     *         "output": {
                     *           "head_branch": "taskbeacon/tes-12-8e9f0a1b",
                     *           "summary": "Done: 2 steps."
                     *         },
                     *         "state": {
                     *           "mode": "background"
                     *         },
                     *         "artifacts": [
                     *           {
                     *             "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *             "name": "changes.patch",
                     *             "type": "output",
                     *             "source": "agent",
                     *             "size": 213,
                     *             "content_type": "text/x-patch",
                     *             "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *             "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *           }
                     *         ],
                     *         "created_at": "2026-03-01T10:00:00.123456Z",
                     *         "updated_at": "2026-03-01T10:00:00.123456Z",
                     *         "completed_at": "2026-03-01T10:00:00.123456Z"
                     *       },
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z",
                     *       "created_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "ci_prompt": null
                     *     }
                     */
                    "application/json": components["schemas"]["TaskOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_run_create: {
        parameters: {
            query?: never;
            header?: {
                /** @description A unique text that you choose for each operation. A request that is repeated with the same key within 24 hours is performed once; repetitions get the first response again, with `Idempotent-Replayed: true`. */
                "Idempotency-Key"?: string;
            };
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["RunIn"];
            };
        };
        responses: {
            /** @description The task; its `latest_run` is the new run. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "task_number": 12,
                     *       "slug": "TES-12",
                     *       "title": "Say hello",
                     *       "title_manually_set": true,
                     *       "description": "Give the repository a page that says hello.",
                     *       "origin_product": "user_created",
                     *       "repository": "taskbeacon/taskbeacon",
                     *       "github_integration": null,
                     *       "github_user_integration": null,
                     *       "signal_report": null,
                     *       "json_schema": null,
                     *       "internal": false,
                     *       "archived": false,
                     *       "archived_at": null,
                     *       "latest_run": {
                     *         "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "stage": null,
                     *         "branch": null,
                     *         "status": "completed",
                     *         "environment": "cloud",
                     *         "runtime_adapter": "claude",
                     *         "provider": "anthropic",
                     *         "model": "claude-sonnet-5",
                     *         "reasoning_effort": "high",
                     *         "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
                     *         "error_message": null,
                     *         "output": {
                     *           "head_branch": "taskbeacon/tes-12-8e9f0a1b",
                     *           "summary": "Done: 2 steps."
                     *         },
                     *         "state": {
                     *           "mode": "background"
                     *         },
                     *         "artifacts": [
                     *           {
                     *             "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *             "name": "changes.patch",
                     *             "type": "output",
                     *             "source": "agent",
                     *             "size": 213,
                     *             "content_type": "text/x-patch",
                     *             "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *             "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *           }
                     *         ],
                     *         "created_at": "2026-03-01T10:00:00.123456Z",
                     *         "updated_at": "2026-03-01T10:00:00.123456Z",
                     *         "completed_at": "2026-03-01T10:00:00.123456Z"
                     *       },
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z",
                     *       "created_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "ci_prompt": null
                     *     }
                     */
                    "application/json": components["schemas"]["TaskOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["RunRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request conflicts with the current state of the resource. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded, and `Retry-After` gives the seconds to wait; or the project is over its usage limit. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["UsageLimitOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_list: {
        parameters: {
            query?: {
                /** @description Page size. Values above 100 are reduced to it; a value that is not a positive number means the default. */
                limit?: number;
                /** @description Number of results to skip. A value that is not a positive number means 0. */
                offset?: number;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of runs. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "count": 1,
                     *       "next": null,
                     *       "previous": null,
                     *       "results": [
                     *         {
                     *           "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "stage": null,
                     *           "branch": null,
                     *           "status": "completed",
                     *           "environment": "cloud",
                     *           "runtime_adapter": "claude",
                     *           "provider": "anthropic",
                     *           "model": "claude-sonnet-5",
                     *           "reasoning_effort": "high",
                     *           "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
                     *           "error_message": null,
                     *           "output": {
                     *             "head_branch": "taskbeacon/tes-12-8e9f0a1b",
                     *             "summary": "Done: 2 steps."
                     *           },
                     *           "state": {
                     *             "mode": "background"
                     *           },
                     *           "artifacts": [
                     *             {
                     *               "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *               "name": "changes.patch",
                     *               "type": "output",
                     *               "source": "agent",
                     *               "size": 213,
                     *               "content_type": "text/x-patch",
                     *               "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *               "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *             }
                     *           ],
                     *           "created_at": "2026-03-01T10:00:00.123456Z",
                     *           "updated_at": "2026-03-01T10:00:00.123456Z",
                     *           "completed_at": "2026-03-01T10:00:00.123456Z"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["RunPage"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_create: {
        parameters: {
            query?: never;
            header?: {
                /** @description A unique text that you choose for each operation. A request that is repeated with the same key within 24 hours is performed once; repetitions get the first response again, with `Idempotent-Replayed: true`. */
                "Idempotency-Key"?: string;
            };
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["RunCreateIn"];
            };
        };
        responses: {
            /** @description The new run. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "stage": null,
                     *       "branch": null,
                     *       "status": "completed",
                     *       "environment": "cloud",
                     *       "runtime_adapter": "claude",
                     *       "provider": "anthropic",
                     *       "model": "claude-sonnet-5",
                     *       "reasoning_effort": "high",
                     *       "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
                     *       "error_message": null,
                     *       "output": {
                     *         "head_branch": "taskbeacon/tes-12-8e9f0a1b",
                     *         "summary": "Done: 2 steps."
                     *       },
                     *       "state": {
                     *         "mode": "background"
                     *       },
                     *       "artifacts": [
                     *         {
                     *           "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *           "name": "changes.patch",
                     *           "type": "output",
                     *           "source": "agent",
                     *           "size": 213,
                     *           "content_type": "text/x-patch",
                     *           "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *           "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *         }
                     *       ],
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z",
                     *       "completed_at": "2026-03-01T10:00:00.123456Z"
                     *     }
                     */
                    "application/json": components["schemas"]["RunOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["RunRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request conflicts with the current state of the resource. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded, and `Retry-After` gives the seconds to wait; or the project is over its usage limit. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["UsageLimitOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_retrieve: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The run. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "stage": null,
                     *       "branch": null,
                     *       "status": "completed",
                     *       "environment": "cloud",
                     *       "runtime_adapter": "claude",
                     *       "provider": "anthropic",
                     *       "model": "claude-sonnet-5",
                     *       "reasoning_effort": "high",
                     *       "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
                     *       "error_message": null,
                     *       "output": {
                     *         "head_branch": "taskbeacon/tes-12-8e9f0a1b",
                     *         "summary": "Done: 2 steps."
                     *       },
                     *       "state": {
                     *         "mode": "background"
                     *       },
                     *       "artifacts": [
                     *         {
                     *           "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *           "name": "changes.patch",
                     *           "type": "output",
                     *           "source": "agent",
                     *           "size": 213,
                     *           "content_type": "text/x-patch",
                     *           "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *           "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *         }
                     *       ],
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z",
                     *       "completed_at": "2026-03-01T10:00:00.123456Z"
                     *     }
                     */
                    "application/json": components["schemas"]["RunOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_partial_update: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["RunUpdateIn"];
            };
        };
        responses: {
            /** @description The updated run. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "stage": null,
                     *       "branch": null,
                     *       "status": "completed",
                     *       "environment": "cloud",
                     *       "runtime_adapter": "claude",
                     *       "provider": "anthropic",
                     *       "model": "claude-sonnet-5",
                     *       "reasoning_effort": "high",
                     *       "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
                     *       "error_message": null,
                     *       "output": {
                     *         "head_branch": "taskbeacon/tes-12-8e9f0a1b",
                     *         "summary": "Done: 2 steps."
                     *       },
                     *       "state": {
                     *         "mode": "background"
                     *       },
                     *       "artifacts": [
                     *         {
                     *           "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *           "name": "changes.patch",
                     *           "type": "output",
                     *           "source": "agent",
                     *           "size": 213,
                     *           "content_type": "text/x-patch",
                     *           "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *           "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *         }
                     *       ],
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z",
                     *       "completed_at": "2026-03-01T10:00:00.123456Z"
                     *     }
                     */
                    "application/json": components["schemas"]["RunOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded, and `Retry-After` gives the seconds to wait; or the project is over its usage limit. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["UsageLimitOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_set_output_partial_update: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["SetOutputIn"];
            };
        };
        responses: {
            /** @description The updated run. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "stage": null,
                     *       "branch": null,
                     *       "status": "completed",
                     *       "environment": "cloud",
                     *       "runtime_adapter": "claude",
                     *       "provider": "anthropic",
                     *       "model": "claude-sonnet-5",
                     *       "reasoning_effort": "high",
                     *       "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
                     *       "error_message": null,
                     *       "output": {
                     *         "head_branch": "taskbeacon/tes-12-8e9f0a1b",
                     *         "summary": "Done: 2 steps."
                     *       },
                     *       "state": {
                     *         "mode": "background"
                     *       },
                     *       "artifacts": [
                     *         {
                     *           "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *           "name": "changes.patch",
                     *           "type": "output",
                     *           "source": "agent",
                     *           "size": 213,
                     *           "content_type": "text/x-patch",
                     *           "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *           "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *         }
                     *       ],
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z",
                     *       "completed_at": "2026-03-01T10:00:00.123456Z"
                     *     }
                     */
                    "application/json": components["schemas"]["RunOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_start_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["StartIn"];
            };
        };
        responses: {
            /** @description The task. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "task_number": 12,
                     *       "slug": "TES-12",
                     *       "title": "Say hello",
                     *       "title_manually_set": true,
                     *       "description": "Give the repository a page that says hello.",
                     *       "origin_product": "user_created",
                     *       "repository": "taskbeacon/taskbeacon",
                     *       "github_integration": null,
                     *       "github_user_integration": null,
                     *       "signal_report": null,
                     *       "json_schema": null,
                     *       "internal": false,
                     *       "archived": false,
                     *       "archived_at": null,
                     *       "latest_run": {
                     *         "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "stage": null,
                     *         "branch": null,
                     *         "status": "completed",
                     *         "environment": "cloud",
                     *         "runtime_adapter": "claude",
                     *         "provider": "anthropic",
                     *         "model": "claude-sonnet-5",
                     *         "reasoning_effort": "high",
                     *         "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
                     *         "error_message": null,
                     *         "output": {
                     *           "head_branch": "taskbeacon/tes-12-8e9f0a1b",
                     *           "summary": "Done: 2 steps."
                     *         },
                     *         "state": {
                     *           "mode": "background"
                     *         },
                     *         "artifacts": [
                     *           {
                     *             "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *             "name": "changes.patch",
                     *             "type": "output",
                     *             "source": "agent",
                     *             "size": 213,
                     *             "content_type": "text/x-patch",
                     *             "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *             "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *           }
                     *         ],
                     *         "created_at": "2026-03-01T10:00:00.123456Z",
                     *         "updated_at": "2026-03-01T10:00:00.123456Z",
                     *         "completed_at": "2026-03-01T10:00:00.123456Z"
                     *       },
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z",
                     *       "created_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "ci_prompt": null
                     *     }
                     */
                    "application/json": components["schemas"]["TaskOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"] | components["schemas"]["RunRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded, and `Retry-After` gives the seconds to wait; or the project is over its usage limit. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["UsageLimitOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_resume_in_cloud_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The run, queued. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "stage": null,
                     *       "branch": null,
                     *       "status": "completed",
                     *       "environment": "cloud",
                     *       "runtime_adapter": "claude",
                     *       "provider": "anthropic",
                     *       "model": "claude-sonnet-5",
                     *       "reasoning_effort": "high",
                     *       "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
                     *       "error_message": null,
                     *       "output": {
                     *         "head_branch": "taskbeacon/tes-12-8e9f0a1b",
                     *         "summary": "Done: 2 steps."
                     *       },
                     *       "state": {
                     *         "mode": "background"
                     *       },
                     *       "artifacts": [
                     *         {
                     *           "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *           "name": "changes.patch",
                     *           "type": "output",
                     *           "source": "agent",
                     *           "size": 213,
                     *           "content_type": "text/x-patch",
                     *           "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *           "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *         }
                     *       ],
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z",
                     *       "completed_at": "2026-03-01T10:00:00.123456Z"
                     *     }
                     */
                    "application/json": components["schemas"]["RunOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"] | components["schemas"]["RunRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded, and `Retry-After` gives the seconds to wait; or the project is over its usage limit. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["UsageLimitOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_connection_token_retrieve: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The token. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "token": "eyJhbGciOiJSUzI1NiJ9.…"
                     *     }
                     */
                    "application/json": components["schemas"]["ConnectionTokenOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_append_log_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AppendIn"];
            };
        };
        responses: {
            /** @description The run. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "task": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "stage": null,
                     *       "branch": null,
                     *       "status": "completed",
                     *       "environment": "cloud",
                     *       "runtime_adapter": "claude",
                     *       "provider": "anthropic",
                     *       "model": "claude-sonnet-5",
                     *       "reasoning_effort": "high",
                     *       "log_url": "https://storage.example.com/taskbeacon/tasks/logs/run.jsonl?X-Amz-Expires=3600",
                     *       "error_message": null,
                     *       "output": {
                     *         "head_branch": "taskbeacon/tes-12-8e9f0a1b",
                     *         "summary": "Done: 2 steps."
                     *       },
                     *       "state": {
                     *         "mode": "background"
                     *       },
                     *       "artifacts": [
                     *         {
                     *           "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *           "name": "changes.patch",
                     *           "type": "output",
                     *           "source": "agent",
                     *           "size": 213,
                     *           "content_type": "text/x-patch",
                     *           "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *           "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *         }
                     *       ],
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z",
                     *       "completed_at": "2026-03-01T10:00:00.123456Z"
                     *     }
                     */
                    "application/json": components["schemas"]["RunOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_relay_message_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RelayIn"];
            };
        };
        responses: {
            /** @description Whether the message was relayed. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "skipped"
                     *     }
                     */
                    "application/json": components["schemas"]["RelayOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_logs_retrieve: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The log, one JSON object per line. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /** @example {"type":"notification","timestamp":"2026-03-01T10:00:07.250Z","notification":{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s1","update":{"sessionUpdate":"agent_message","content":{"type":"text","text":"The page says hello now."}}}}} */
                    "text/plain": string;
                    /** @example {"type":"notification","timestamp":"2026-03-01T10:00:07.250Z","notification":{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s1","update":{"sessionUpdate":"agent_message","content":{"type":"text","text":"The page says hello now."}}}}} */
                    "application/jsonl": string;
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_session_logs_retrieve: {
        parameters: {
            query?: {
                /** @description Only entries with a later `timestamp`. */
                after?: string;
                /** @description Only entries with one of these notification methods, separated by commas. */
                event_types?: string;
                /** @description No entries with these notification methods, separated by commas. */
                exclude_types?: string;
                /** @description Maximum number of entries to return. */
                limit?: number;
                /** @description Number of matching entries to skip. */
                offset?: number;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of log entries, oldest first. */
            200: {
                headers: {
                    /** @description Number of entries in the log. */
                    "X-Total-Count"?: number;
                    /** @description Number of entries that pass the filters. */
                    "X-Matching-Count"?: number;
                    /** @description The same number as `X-Matching-Count`. */
                    "X-Filtered-Count"?: number;
                    /** @description `true` if more matching entries follow: continue at `offset` plus the number of entries on this page. */
                    "X-Has-More"?: "true" | "false";
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example [
                     *       {
                     *         "type": "notification",
                     *         "timestamp": "2026-03-01T10:00:07.250Z",
                     *         "notification": {
                     *           "jsonrpc": "2.0",
                     *           "method": "session/update",
                     *           "params": {
                     *             "sessionId": "s1",
                     *             "update": {
                     *               "sessionUpdate": "agent_message",
                     *               "content": {
                     *                 "type": "text",
                     *                 "text": "The page says hello now."
                     *               }
                     *             }
                     *           }
                     *         }
                     *       }
                     *     ]
                     */
                    "application/json": {
                        [key: string]: unknown;
                    }[];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_stream_retrieve: {
        parameters: {
            query?: {
                /** @description `latest`: only events from now on. By default, all events of the run. */
                start?: string;
                /** @description The same as the header `Last-Event-ID`, for clients that cannot set headers. The header has precedence. */
                last_event_id?: string;
                /** @description Id of one of the caller's devices, from its registration. While the stream is open, the device counts as watching the task and gets no pushes about it. */
                device_id?: string;
            };
            header?: {
                /** @description Id of the last received frame: the stream continues after it. Browsers send this header. */
                "Last-Event-ID"?: string | null;
            };
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Server-sent events, until the run has ended. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example id: 1772359200123-7
                     *     data: {"type":"notification","timestamp":"2026-03-01T10:00:07.250Z","notification":{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s1","update":{"sessionUpdate":"agent_message","content":{"type":"text","text":"The page says hello now."}}}}}
                     */
                    "text/event-stream": string;
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_event_stream_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        /** @description JSON lines, each `{"seq": n, "event": {…}}`, numbered from 1. An empty body only asks for the position. The last line `{"type": "_posthog/stream_complete", "final_seq": n}` declares that no events follow. */
        requestBody?: {
            content: {
                "application/x-ndjson": string;
            };
        };
        responses: {
            /** @description The number of the last accepted event. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "last_accepted_seq": 1
                     *     }
                     */
                    "application/json": components["schemas"]["PositionOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The events do not follow the last accepted event: continue after this number. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PositionOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_command_create: {
        parameters: {
            query?: never;
            header?: {
                /** @description A unique text that you choose for each operation. A request that is repeated with the same key within 24 hours is performed once; repetitions get the first response again, with `Idempotent-Replayed: true`. */
                "Idempotency-Key"?: string;
            };
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CommandIn"];
            };
        };
        responses: {
            /** @description The JSON-RPC response: `result`, or `error` if the command was refused. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "jsonrpc": "2.0",
                     *       "result": {
                     *         "queued": true
                     *       },
                     *       "id": 1
                     *     }
                     */
                    "application/json": components["schemas"]["CommandOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request conflicts with the current state of the resource. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_staged_artifacts_prepare_upload_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PrepareIn"];
            };
        };
        responses: {
            /** @description A signed form for each file. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "artifacts": [
                     *         {
                     *           "id": "9c1f2e3d4b5a69788796a5b4c3d2e1f0",
                     *           "name": "screenshot.png",
                     *           "type": "user_attachment",
                     *           "source": "",
                     *           "size": 48213,
                     *           "content_type": "image/png",
                     *           "storage_path": "tasks/artifacts/team_1/task_019ca8a6/staged/9c1f2e3d/screenshot.png",
                     *           "expires_in": 3600,
                     *           "presigned_post": {
                     *             "url": "https://storage.example.com/taskbeacon",
                     *             "fields": {
                     *               "key": "tasks/artifacts/screenshot.png",
                     *               "policy": "eyJl…"
                     *             }
                     *           }
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["PreparedPage"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_staged_artifacts_finalize_upload_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["FinalizeIn"];
            };
        };
        responses: {
            /** @description The stored files. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "artifacts": [
                     *         {
                     *           "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *           "name": "changes.patch",
                     *           "type": "output",
                     *           "source": "agent",
                     *           "size": 213,
                     *           "content_type": "text/x-patch",
                     *           "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *           "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["ArtifactsOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_artifacts_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["InlineIn"];
            };
        };
        responses: {
            /** @description All files of the run. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "artifacts": [
                     *         {
                     *           "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *           "name": "changes.patch",
                     *           "type": "output",
                     *           "source": "agent",
                     *           "size": 213,
                     *           "content_type": "text/x-patch",
                     *           "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *           "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["ArtifactsOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_artifacts_prepare_upload_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PrepareIn"];
            };
        };
        responses: {
            /** @description A signed form for each file. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "artifacts": [
                     *         {
                     *           "id": "9c1f2e3d4b5a69788796a5b4c3d2e1f0",
                     *           "name": "screenshot.png",
                     *           "type": "user_attachment",
                     *           "source": "",
                     *           "size": 48213,
                     *           "content_type": "image/png",
                     *           "storage_path": "tasks/artifacts/team_1/task_019ca8a6/staged/9c1f2e3d/screenshot.png",
                     *           "expires_in": 3600,
                     *           "presigned_post": {
                     *             "url": "https://storage.example.com/taskbeacon",
                     *             "fields": {
                     *               "key": "tasks/artifacts/screenshot.png",
                     *               "policy": "eyJl…"
                     *             }
                     *           }
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["PreparedPage"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_artifacts_finalize_upload_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["FinalizeIn"];
            };
        };
        responses: {
            /** @description The stored files. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "artifacts": [
                     *         {
                     *           "id": "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d",
                     *           "name": "changes.patch",
                     *           "type": "output",
                     *           "source": "agent",
                     *           "size": 213,
                     *           "content_type": "text/x-patch",
                     *           "storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
                     *           "uploaded_at": "2026-03-01T10:00:42.600000+00:00"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["ArtifactsOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_artifacts_presign_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PathIn"];
            };
        };
        responses: {
            /** @description The URL. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "url": "https://storage.example.com/taskbeacon/changes.patch?X-Amz-Signature=…",
                     *       "expires_in": 3600
                     *     }
                     */
                    "application/json": components["schemas"]["SignedUrlOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_artifacts_download_retrieve: {
        parameters: {
            query: {
                /** @description The `storage_path` of the file. */
                storage_path: string;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The content of the file; `Content-Disposition` gives its name. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": string;
                };
            };
            /** @description The part of the file that `Range` requests. */
            206: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": string;
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The requested `Range` begins after the end of the file. */
            416: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_artifacts_download_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PathIn"];
            };
        };
        responses: {
            /** @description The content of the file; `Content-Disposition` gives its name. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": string;
                };
            };
            /** @description The part of the file that `Range` requests. */
            206: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": string;
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The requested `Range` begins after the end of the file. */
            416: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_runs_diff_retrieve: {
        parameters: {
            query?: {
                /** @description `next` of the previous page. */
                cursor?: number;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
                /** @description Id of a run of the task. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of changed files. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "base": "main",
                     *       "head": "9fceb02d0ae598e95dc970b74767f19372d61af8",
                     *       "files": [
                     *         {
                     *           "path": "src/login.py",
                     *           "old_path": null,
                     *           "status": "M",
                     *           "additions": 1,
                     *           "deletions": 1,
                     *           "binary": false,
                     *           "patch": "diff --git a/src/login.py b/src/login.py\n@@ -1 +1 @@\n-old\n+new\n",
                     *           "truncated": false
                     *         }
                     *       ],
                     *       "next": null
                     *     }
                     */
                    "application/json": components["schemas"]["DiffOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    sandbox_environments_list: {
        parameters: {
            query?: {
                /** @description Page size. Values above 100 are reduced to it; a value that is not a positive number means the default. */
                limit?: number;
                /** @description Number of results to skip. A value that is not a positive number means 0. */
                offset?: number;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of environments. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "count": 1,
                     *       "next": null,
                     *       "previous": null,
                     *       "results": [
                     *         {
                     *           "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "name": "Web app",
                     *           "network_access_level": "custom",
                     *           "allowed_domains": [
                     *             "registry.npmjs.org"
                     *           ],
                     *           "include_default_domains": false,
                     *           "repositories": [
                     *             "taskbeacon/taskbeacon"
                     *           ],
                     *           "has_environment_variables": true,
                     *           "environment_variable_keys": [
                     *             "STAGING_TOKEN"
                     *           ],
                     *           "private": false,
                     *           "internal": false,
                     *           "effective_domains": [
                     *             "registry.npmjs.org"
                     *           ],
                     *           "created_by": {
                     *             "id": 1,
                     *             "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *             "distinct_id": "f0a1b2c3d4e5",
                     *             "first_name": "Ada",
                     *             "last_name": "Example",
                     *             "email": "ada@example.com",
                     *             "is_email_verified": true,
                     *             "hedgehog_config": null,
                     *             "role_at_organization": null
                     *           },
                     *           "created_at": "2026-03-01T10:00:00.123456Z",
                     *           "updated_at": "2026-03-01T10:00:00.123456Z"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["SandboxEnvironmentPage"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    sandbox_environments_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SandboxEnvironmentIn"];
            };
        };
        responses: {
            /** @description The new environment. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "name": "Web app",
                     *       "network_access_level": "custom",
                     *       "allowed_domains": [
                     *         "registry.npmjs.org"
                     *       ],
                     *       "include_default_domains": false,
                     *       "repositories": [
                     *         "taskbeacon/taskbeacon"
                     *       ],
                     *       "has_environment_variables": true,
                     *       "environment_variable_keys": [
                     *         "STAGING_TOKEN"
                     *       ],
                     *       "private": false,
                     *       "internal": false,
                     *       "effective_domains": [
                     *         "registry.npmjs.org"
                     *       ],
                     *       "created_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z"
                     *     }
                     */
                    "application/json": components["schemas"]["SandboxEnvironmentOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    sandbox_environments_retrieve: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the sandbox environment. A private environment of another user is answered with 404. */
                environment_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The environment. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "name": "Web app",
                     *       "network_access_level": "custom",
                     *       "allowed_domains": [
                     *         "registry.npmjs.org"
                     *       ],
                     *       "include_default_domains": false,
                     *       "repositories": [
                     *         "taskbeacon/taskbeacon"
                     *       ],
                     *       "has_environment_variables": true,
                     *       "environment_variable_keys": [
                     *         "STAGING_TOKEN"
                     *       ],
                     *       "private": false,
                     *       "internal": false,
                     *       "effective_domains": [
                     *         "registry.npmjs.org"
                     *       ],
                     *       "created_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z"
                     *     }
                     */
                    "application/json": components["schemas"]["SandboxEnvironmentOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    sandbox_environments_destroy: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the sandbox environment. A private environment of another user is answered with 404. */
                environment_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Deleted; the response has no body. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    sandbox_environments_partial_update: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the sandbox environment. A private environment of another user is answered with 404. */
                environment_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["SandboxEnvironmentUpdateIn"];
            };
        };
        responses: {
            /** @description The updated environment. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "name": "Web app",
                     *       "network_access_level": "custom",
                     *       "allowed_domains": [
                     *         "registry.npmjs.org"
                     *       ],
                     *       "include_default_domains": false,
                     *       "repositories": [
                     *         "taskbeacon/taskbeacon"
                     *       ],
                     *       "has_environment_variables": true,
                     *       "environment_variable_keys": [
                     *         "STAGING_TOKEN"
                     *       ],
                     *       "private": false,
                     *       "internal": false,
                     *       "effective_domains": [
                     *         "registry.npmjs.org"
                     *       ],
                     *       "created_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "updated_at": "2026-03-01T10:00:00.123456Z"
                     *     }
                     */
                    "application/json": components["schemas"]["SandboxEnvironmentOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    events_list: {
        parameters: {
            query?: {
                /** @description `next_after` of an earlier response: only later events. By default, all stored events. */
                after?: string;
                /** @description Only events of these types or families (`run.*`), separated by commas. */
                type?: string;
                /** @description Only events of this task. */
                task_id?: string;
                /** @description Only events of this run. */
                run_id?: string;
                /** @description Page size. Values above 100 are reduced to it; a value that is not a positive number means the default. */
                limit?: number;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Events, oldest first, and the position to continue from. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "results": [
                     *         {
                     *           "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "seq": 1,
                     *           "type": "run.completed",
                     *           "timestamp": "2026-03-01T10:00:00.123456Z",
                     *           "data": {
                     *             "project_id": 1,
                     *             "seq": 3
                     *           }
                     *         }
                     *       ],
                     *       "next_after": "AAAAAAAAA7oAAAAAAAAAKg",
                     *       "truncated": true
                     *     }
                     */
                    "application/json": components["schemas"]["EventPage"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    events_stream_retrieve: {
        parameters: {
            query?: {
                /** @description Topics, separated by commas: `tasks` for the events of the project's tasks (the default), `inbox` for the events of the caller's questions in all projects, `run:<id>` for the stream of a run. */
                topics?: string;
                /** @description The same as the header `Last-Event-ID`, for clients that cannot set headers. The header has precedence. */
                last_event_id?: string;
            };
            header?: {
                /** @description Id of the last received frame: the stream continues after it. Browsers send this header. */
                "Last-Event-ID"?: string | null;
            };
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Server-sent events, for 15 minutes. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example id: AAAAAAAAA7oAAAAAAAAAKg
                     *     data: {"id":"019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40","seq":42,"type":"run.completed","timestamp":"2026-03-01T09:30:00.123456Z","data":{"project_id":1,"task_id":"019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40","seq":3,"url":"/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/","run_id":"019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40","status":"completed"}}
                     */
                    "text/event-stream": string;
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhook_event_types_list: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All event types, each with the JSON Schema of its body and an example. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example [
                     *       {
                     *         "type": "task.created",
                     *         "description": "A task was created.",
                     *         "schema": {
                     *           "$schema": "https://json-schema.org/draft/2020-12/schema",
                     *           "title": "task.created",
                     *           "description": "A task was created.",
                     *           "type": "object",
                     *           "required": [
                     *             "type",
                     *             "timestamp",
                     *             "data"
                     *           ],
                     *           "properties": {
                     *             "type": {
                     *               "const": "task.created"
                     *             },
                     *             "timestamp": {
                     *               "type": "string",
                     *               "format": "date-time"
                     *             },
                     *             "data": {
                     *               "type": "object",
                     *               "required": [
                     *                 "project_id",
                     *                 "seq",
                     *                 "task_id",
                     *                 "url"
                     *               ],
                     *               "properties": {
                     *                 "project_id": {
                     *                   "type": "integer"
                     *                 },
                     *                 "task_id": {
                     *                   "type": "string",
                     *                   "format": "uuid"
                     *                 },
                     *                 "seq": {
                     *                   "type": "integer",
                     *                   "minimum": 1,
                     *                   "description": "Counts the events of the run, else of the task."
                     *                 },
                     *                 "url": {
                     *                   "type": "string",
                     *                   "description": "Where people see the task; a path of the API if nothing is configured."
                     *                 },
                     *                 "task": {
                     *                   "type": "object",
                     *                   "description": "Full bodies: the task as `GET` answered then."
                     *                 },
                     *                 "truncated": {
                     *                   "const": true,
                     *                   "description": "A full body was wanted, and is too large or not there: read the task."
                     *                 }
                     *               }
                     *             }
                     *           }
                     *         },
                     *         "example": {
                     *           "type": "task.created",
                     *           "timestamp": "2026-03-01T09:30:00.123456Z",
                     *           "data": {
                     *             "project_id": 1,
                     *             "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                     *             "seq": 3,
                     *             "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/"
                     *           }
                     *         },
                     *         "since": "0.1.0"
                     *       }
                     *     ]
                     */
                    "application/json": components["schemas"]["EventTypeOut"][];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhook_endpoints_list: {
        parameters: {
            query?: {
                /** @description Page size. Values above 100 are reduced to it; a value that is not a positive number means the default. */
                limit?: number;
                /** @description Number of results to skip. A value that is not a positive number means 0. */
                offset?: number;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of endpoints. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "count": 1,
                     *       "next": null,
                     *       "previous": null,
                     *       "results": [
                     *         {
                     *           "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "url": "https://hooks.example.com/taskbeacon",
                     *           "event_types": [
                     *             "run.completed",
                     *             "question.*"
                     *           ],
                     *           "description": "Our chat",
                     *           "payload": "thin",
                     *           "task_filter": null,
                     *           "enabled": true,
                     *           "disabled_reason": null,
                     *           "created_at": "2026-03-01T10:00:00.123456Z",
                     *           "created_by": {
                     *             "id": 1,
                     *             "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *             "distinct_id": "f0a1b2c3d4e5",
                     *             "first_name": "Ada",
                     *             "last_name": "Example",
                     *             "email": "ada@example.com",
                     *             "is_email_verified": true,
                     *             "hedgehog_config": null,
                     *             "role_at_organization": null
                     *           },
                     *           "last_success_at": "2026-03-01T10:00:00.123456Z",
                     *           "last_failure_at": "2026-03-01T10:00:00.123456Z",
                     *           "consecutive_failures": 0,
                     *           "secret_hint": "Zm8="
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["EndpointPage"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhook_endpoints_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EndpointIn"];
            };
        };
        responses: {
            /** @description The new endpoint with its secret, which is not shown again. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "url": "https://hooks.example.com/taskbeacon",
                     *       "event_types": [
                     *         "run.completed",
                     *         "question.*"
                     *       ],
                     *       "description": "Our chat",
                     *       "payload": "thin",
                     *       "task_filter": null,
                     *       "enabled": true,
                     *       "disabled_reason": null,
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "created_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "last_success_at": "2026-03-01T10:00:00.123456Z",
                     *       "last_failure_at": "2026-03-01T10:00:00.123456Z",
                     *       "consecutive_failures": 0,
                     *       "secret_hint": "Zm8=",
                     *       "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKY0="
                     *     }
                     */
                    "application/json": components["schemas"]["NewEndpointOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhook_endpoints_retrieve: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of a webhook endpoint of the caller. An endpoint of another user is answered with 404. */
                endpoint_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The endpoint. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "url": "https://hooks.example.com/taskbeacon",
                     *       "event_types": [
                     *         "run.completed",
                     *         "question.*"
                     *       ],
                     *       "description": "Our chat",
                     *       "payload": "thin",
                     *       "task_filter": null,
                     *       "enabled": true,
                     *       "disabled_reason": null,
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "created_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "last_success_at": "2026-03-01T10:00:00.123456Z",
                     *       "last_failure_at": "2026-03-01T10:00:00.123456Z",
                     *       "consecutive_failures": 0,
                     *       "secret_hint": "Zm8="
                     *     }
                     */
                    "application/json": components["schemas"]["EndpointOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhook_endpoints_destroy: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of a webhook endpoint of the caller. An endpoint of another user is answered with 404. */
                endpoint_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Deleted; the response has no body. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhook_endpoints_partial_update: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of a webhook endpoint of the caller. An endpoint of another user is answered with 404. */
                endpoint_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["EndpointUpdateIn"];
            };
        };
        responses: {
            /** @description The updated endpoint. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "url": "https://hooks.example.com/taskbeacon",
                     *       "event_types": [
                     *         "run.completed",
                     *         "question.*"
                     *       ],
                     *       "description": "Our chat",
                     *       "payload": "thin",
                     *       "task_filter": null,
                     *       "enabled": true,
                     *       "disabled_reason": null,
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "created_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "last_success_at": "2026-03-01T10:00:00.123456Z",
                     *       "last_failure_at": "2026-03-01T10:00:00.123456Z",
                     *       "consecutive_failures": 0,
                     *       "secret_hint": "Zm8="
                     *     }
                     */
                    "application/json": components["schemas"]["EndpointOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhook_endpoints_rotate_secret_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of a webhook endpoint of the caller. An endpoint of another user is answered with 404. */
                endpoint_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["RotateIn"];
            };
        };
        responses: {
            /** @description The new secret, which is not shown again. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKY0=",
                     *       "old_secret_valid_until": "2026-03-01T10:00:00.123456Z"
                     *     }
                     */
                    "application/json": components["schemas"]["RotatedOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhook_endpoints_ping_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of a webhook endpoint of the caller. An endpoint of another user is answered with 404. */
                endpoint_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The id of the delivery. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "delivery_id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40"
                     *     }
                     */
                    "application/json": components["schemas"]["PingedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhook_endpoints_enable_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of a webhook endpoint of the caller. An endpoint of another user is answered with 404. */
                endpoint_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The updated endpoint. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "url": "https://hooks.example.com/taskbeacon",
                     *       "event_types": [
                     *         "run.completed",
                     *         "question.*"
                     *       ],
                     *       "description": "Our chat",
                     *       "payload": "thin",
                     *       "task_filter": null,
                     *       "enabled": true,
                     *       "disabled_reason": null,
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "created_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "last_success_at": "2026-03-01T10:00:00.123456Z",
                     *       "last_failure_at": "2026-03-01T10:00:00.123456Z",
                     *       "consecutive_failures": 0,
                     *       "secret_hint": "Zm8="
                     *     }
                     */
                    "application/json": components["schemas"]["EndpointOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhook_endpoints_recover_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of a webhook endpoint of the caller. An endpoint of another user is answered with 404. */
                endpoint_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RecoverIn"];
            };
        };
        responses: {
            /** @description The number of messages that will be sent again. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "count": 1
                     *     }
                     */
                    "application/json": components["schemas"]["RecoveredOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhook_endpoints_deliveries_list: {
        parameters: {
            query?: {
                /** @description Only deliveries of this status. */
                status?: "pending" | "delivered" | "failed" | "cancelled";
                /** @description Only deliveries of this event type. */
                event_type?: string;
                /** @description Only events of this task. */
                task_id?: string;
                /** @description Only deliveries created after this time. */
                after?: string;
                /** @description Only deliveries created before this time. */
                before?: string;
                /** @description Page size. Values above 100 are reduced to it; a value that is not a positive number means the default. */
                limit?: number;
                /** @description Number of results to skip. A value that is not a positive number means 0. */
                offset?: number;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of a webhook endpoint of the caller. An endpoint of another user is answered with 404. */
                endpoint_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of deliveries. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "count": 1,
                     *       "next": null,
                     *       "previous": null,
                     *       "results": [
                     *         {
                     *           "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "event_id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "event_type": "run.completed",
                     *           "task_id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "run_id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "status": "pending",
                     *           "created_at": "2026-03-01T10:00:00.123456Z",
                     *           "next_attempt_at": "2026-03-01T10:00:00.123456Z",
                     *           "delivered_at": "2026-03-01T10:00:00.123456Z",
                     *           "attempts": 1
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["DeliveryPage"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhook_endpoints_deliveries_retrieve: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of a webhook endpoint of the caller. An endpoint of another user is answered with 404. */
                endpoint_id: string;
                /** @description Id of a delivery to the endpoint. */
                delivery_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The delivery, with its request and all attempts. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "event_id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "event_type": "run.completed",
                     *       "task_id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "run_id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "status": "pending",
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "next_attempt_at": "2026-03-01T10:00:00.123456Z",
                     *       "delivered_at": "2026-03-01T10:00:00.123456Z",
                     *       "request": {
                     *         "headers": {
                     *           "Content-Type": "application/json",
                     *           "webhook-id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "webhook-signature": "v1,***",
                     *           "webhook-timestamp": "1772359200"
                     *         },
                     *         "body": "{\"type\":\"ping\",…}"
                     *       },
                     *       "attempts": [
                     *         {
                     *           "n": 1,
                     *           "manual": true,
                     *           "started_at": "2026-03-01T10:00:00.123456Z",
                     *           "duration_ms": 1,
                     *           "outcome": "delivered",
                     *           "status_code": 200,
                     *           "response_excerpt": "ok",
                     *           "error": null,
                     *           "resolved_ip": "203.0.113.7",
                     *           "next_attempt_at": "2026-03-01T10:00:00.123456Z"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["DeliveryDetailOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhook_endpoints_deliveries_redeliver_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of a webhook endpoint of the caller. An endpoint of another user is answered with 404. */
                endpoint_id: string;
                /** @description Id of a delivery to the endpoint. */
                delivery_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The delivery, which is pending again. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "event_id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "event_type": "run.completed",
                     *       "task_id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "run_id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "status": "pending",
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "next_attempt_at": "2026-03-01T10:00:00.123456Z",
                     *       "delivered_at": "2026-03-01T10:00:00.123456Z",
                     *       "attempts": 1
                     *     }
                     */
                    "application/json": components["schemas"]["DeliveryOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    users_push_tokens_list: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The devices, without their tokens. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "results": [
                     *         {
                     *           "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "platform": "ios",
                     *           "created_at": "2026-03-01T10:00:00.123456Z",
                     *           "last_seen_at": "2026-03-01T10:00:00.123456Z"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["DeviceList"];
                };
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    users_push_tokens_create: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PushTokenIn"];
            };
        };
        responses: {
            /** @description The device; its id is the `device_id` of presence. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "platform": "ios",
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "last_seen_at": "2026-03-01T10:00:00.123456Z"
                     *     }
                     */
                    "application/json": components["schemas"]["DeviceOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    users_push_tokens_unregister_create: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UnregisterIn"];
            };
        };
        responses: {
            /** @description The device gets no more pushes. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    push_vapid_public_key_retrieve: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The key. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "public_key": "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM"
                     *     }
                     */
                    "application/json": components["schemas"]["VapidPublicKeyOut"];
                };
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_notifications_list: {
        parameters: {
            query?: {
                /** @description Page size. Values above 100 are reduced to it; a value that is not a positive number means the default. */
                limit?: number;
                /** @description Number of results to skip. A value that is not a positive number means 0. */
                offset?: number;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of decisions. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "count": 1,
                     *       "next": null,
                     *       "previous": null,
                     *       "results": [
                     *         {
                     *           "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "run": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "kind": "completed",
                     *           "title": null,
                     *           "body": "\"Say hello\" finished",
                     *           "device": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "platform": "ios",
                     *           "decision": "deferred",
                     *           "reason": "presence",
                     *           "watched_by": {
                     *             "device": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *             "seconds_ago": 12.5
                     *           },
                     *           "attempts": 0,
                     *           "created_at": "2026-03-01T10:00:00.123456Z",
                     *           "next_attempt_at": null,
                     *           "due_at": null,
                     *           "deferred_for": 65,
                     *           "sent_at": null,
                     *           "settled_at": "2026-03-01T10:00:00.123456Z",
                     *           "history": [
                     *             {
                     *               "decision": "pending",
                     *               "reason": "presence",
                     *               "at": "2026-03-01T10:00:00.123456Z"
                     *             }
                     *           ]
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["NotificationPage"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_notifications_test_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["PushTestIn"];
            };
        };
        responses: {
            /** @description The response of the push service. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "device": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "platform": "ios",
                     *       "decision": "sent",
                     *       "reason": null,
                     *       "ticket": "740dd1b2-0b1c-4b0a-8c1d-2f3e4a5b6c7d"
                     *     }
                     */
                    "application/json": components["schemas"]["PushTestOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_mute_update: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The caller gets no pushes about the task. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_mute_destroy: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The caller gets pushes about the task. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    users_notification_preferences_retrieve: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The preferences. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "completed": true,
                     *       "failed": true,
                     *       "cancelled": true,
                     *       "awaiting": true,
                     *       "notify_user": true,
                     *       "quiet_hours": {
                     *         "start": "22:00",
                     *         "end": "07:00",
                     *         "timezone": "Europe/Berlin",
                     *         "days": [
                     *           "text"
                     *         ]
                     *       },
                     *       "allow_during_quiet": [
                     *         "low"
                     *       ],
                     *       "push_text": "generic",
                     *       "reminder_after_seconds": 1
                     *     }
                     */
                    "application/json": components["schemas"]["PreferencesOut"];
                };
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    users_notification_preferences_partial_update: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["PreferencesIn"];
            };
        };
        responses: {
            /** @description The updated preferences. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "completed": true,
                     *       "failed": true,
                     *       "cancelled": true,
                     *       "awaiting": true,
                     *       "notify_user": true,
                     *       "quiet_hours": {
                     *         "start": "22:00",
                     *         "end": "07:00",
                     *         "timezone": "Europe/Berlin",
                     *         "days": [
                     *           "text"
                     *         ]
                     *       },
                     *       "allow_during_quiet": [
                     *         "low"
                     *       ],
                     *       "push_text": "generic",
                     *       "reminder_after_seconds": 1
                     *     }
                     */
                    "application/json": components["schemas"]["PreferencesOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    users_inbox_list: {
        parameters: {
            query?: {
                /** @description `open`: only questions that wait for an answer; `all`: closed questions too. */
                status?: "open" | "all";
                /** @description Only questions of this kind. */
                kind?: "permission" | "form" | "url" | "message";
                /** @description Only questions of this project. */
                project_id?: number;
                /** @description Page size. Values above 100 are reduced to it; a value that is not a positive number means the default. */
                limit?: number;
                /** @description Number of results to skip. A value that is not a positive number means 0. */
                offset?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of questions. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "count": 1,
                     *       "next": null,
                     *       "previous": null,
                     *       "results": [
                     *         {
                     *           "answer": {
                     *             "option_id": "allow"
                     *           },
                     *           "answered_by": {
                     *             "id": 1,
                     *             "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *             "distinct_id": "f0a1b2c3d4e5",
                     *             "first_name": "Ada",
                     *             "last_name": "Example",
                     *             "email": "ada@example.com",
                     *             "is_email_verified": true,
                     *             "hedgehog_config": null,
                     *             "role_at_organization": null
                     *           },
                     *           "answered_via": "api",
                     *           "answered_at": "2026-03-01T10:00:00.123456Z",
                     *           "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "kind": "permission",
                     *           "status": "open",
                     *           "urgency": "low",
                     *           "risk": "low",
                     *           "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                     *           "title": "Run `make deploy`",
                     *           "detail": "make deploy",
                     *           "options": [
                     *             {
                     *               "id": "allow",
                     *               "name": "Allow once",
                     *               "kind": "allow_once"
                     *             }
                     *           ],
                     *           "schema": null,
                     *           "link": null,
                     *           "link_host": null,
                     *           "task": {
                     *             "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *             "title": "Say hello",
                     *             "slug": "TES-1",
                     *             "repository": "acme/shop"
                     *           },
                     *           "run": {
                     *             "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *             "status": "not_started"
                     *           },
                     *           "project_id": 1,
                     *           "opened_at": "2026-03-01T10:00:00.123456Z",
                     *           "expires_at": "2026-03-01T10:00:00.123456Z",
                     *           "snoozed_until": null,
                     *           "allowed_actions": [
                     *             "answer"
                     *           ],
                     *           "url": "/api/projects/1/tasks/019ca8a0/"
                     *         }
                     *       ],
                     *       "open_count": 1
                     *     }
                     */
                    "application/json": components["schemas"]["InboxPage"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    users_inbox_stream_retrieve: {
        parameters: {
            query?: {
                /** @description The same as the header `Last-Event-ID`, for clients that cannot set headers. The header has precedence. */
                last_event_id?: string;
            };
            header?: {
                /** @description Id of the last received frame: the stream continues after it. Browsers send this header. */
                "Last-Event-ID"?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Server-sent events, for 15 minutes. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example id: AAAAAAAAA7oAAAAAAAAAKg
                     *     data: {"id":"019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40","seq":42,"type":"question.opened","timestamp":"2026-03-01T09:30:00.123456Z","data":{"project_id":1,"task_id":"019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40","seq":3,"url":"/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/","run_id":"019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40","question_id":"019ca8a033337c3e9f620b5c1d2e3f40","kind":"permission","urgency":"normal"}}
                     */
                    "text/event-stream": string;
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    questions_answer_create: {
        parameters: {
            query?: never;
            header?: {
                /** @description A unique text that you choose for each operation. A request that is repeated with the same key within 24 hours is performed once; repetitions get the first response again, with `Idempotent-Replayed: true`. */
                "Idempotency-Key"?: string;
            };
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the question. A question that the caller may not see is answered with 404. */
                question_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["AnswerIn"];
            };
        };
        responses: {
            /** @description The answer that counts, and the progress of its delivery. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "answer": {
                     *         "option_id": "allow"
                     *       },
                     *       "answered_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "answered_via": "api",
                     *       "answered_at": "2026-03-01T10:00:00.123456Z",
                     *       "status": "answered",
                     *       "delivery": "accepted",
                     *       "repeated": true
                     *     }
                     */
                    "application/json": components["schemas"]["AnsweredOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request conflicts with the current state of the resource. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["QuestionSettledOut"];
                };
            };
            /** @description The question is closed. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["QuestionSettledOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    questions_snooze_create: {
        parameters: {
            query?: never;
            header?: {
                /** @description A unique text that you choose for each operation. A request that is repeated with the same key within 24 hours is performed once; repetitions get the first response again, with `Idempotent-Replayed: true`. */
                "Idempotency-Key"?: string;
            };
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the question. A question that the caller may not see is answered with 404. */
                question_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["SnoozeIn"];
            };
        };
        responses: {
            /** @description The question, which stays in the inbox. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "answer": {
                     *         "option_id": "allow"
                     *       },
                     *       "answered_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "answered_via": "api",
                     *       "answered_at": "2026-03-01T10:00:00.123456Z",
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "kind": "permission",
                     *       "status": "open",
                     *       "urgency": "low",
                     *       "risk": "low",
                     *       "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                     *       "title": "Run `make deploy`",
                     *       "detail": "make deploy",
                     *       "options": [
                     *         {
                     *           "id": "allow",
                     *           "name": "Allow once",
                     *           "kind": "allow_once"
                     *         }
                     *       ],
                     *       "schema": null,
                     *       "link": null,
                     *       "link_host": null,
                     *       "task": {
                     *         "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "title": "Say hello",
                     *         "slug": "TES-1",
                     *         "repository": "acme/shop"
                     *       },
                     *       "run": {
                     *         "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "status": "not_started"
                     *       },
                     *       "project_id": 1,
                     *       "opened_at": "2026-03-01T10:00:00.123456Z",
                     *       "expires_at": "2026-03-01T10:00:00.123456Z",
                     *       "snoozed_until": null,
                     *       "allowed_actions": [
                     *         "answer"
                     *       ],
                     *       "url": "/api/projects/1/tasks/019ca8a0/"
                     *     }
                     */
                    "application/json": components["schemas"]["QuestionOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request conflicts with the current state of the resource. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The question is closed. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["QuestionSettledOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_follow_update: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The task's questions are in the caller's inbox. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    tasks_follow_destroy: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the project, or `@current`: the caller's current project.
                 * @example @current
                 */
                project_id: string;
                /** @description Id of the task. A task that the caller may not see is answered with 404. */
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The task's questions are not in the caller's inbox, unless they created it. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    actions_create: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The action token from a notification. */
                token: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ActionIn"];
            };
        };
        responses: {
            /** @description The answer that counts, and the progress of its delivery. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "answer": {
                     *         "option_id": "allow"
                     *       },
                     *       "answered_by": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "answered_via": "api",
                     *       "answered_at": "2026-03-01T10:00:00.123456Z",
                     *       "status": "answered",
                     *       "delivery": "accepted",
                     *       "repeated": true
                     *     }
                     */
                    "application/json": components["schemas"]["AnsweredOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["StateRefusedOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request conflicts with the current state of the resource. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["QuestionSettledOut"];
                };
            };
            /** @description The question is closed. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["QuestionSettledOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    users_me_retrieve: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The user. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": 1,
                     *       "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "distinct_id": "f0a1b2c3d4e5",
                     *       "first_name": "Ada",
                     *       "last_name": "Example",
                     *       "email": "ada@example.com",
                     *       "is_staff": false,
                     *       "is_email_verified": true,
                     *       "date_joined": "2026-03-01T10:00:00.123456Z",
                     *       "hedgehog_config": null,
                     *       "role_at_organization": null,
                     *       "team": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "organization": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "project_id": 1,
                     *         "api_token": "phc_8s7d6f5g4h3j2k1l",
                     *         "name": "Test Team",
                     *         "timezone": "UTC"
                     *       },
                     *       "organization": {
                     *         "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "name": "Test Organization"
                     *       },
                     *       "organizations": [
                     *         {
                     *           "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "name": "Test Organization"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["UserOut"];
                };
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    console_session_retrieve: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The session of this browser. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "user": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "projects": [
                     *         {
                     *           "id": 1,
                     *           "name": "Test Team",
                     *           "organization": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40"
                     *         }
                     *       ],
                     *       "scopes": [
                     *         "*"
                     *       ],
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "expires_at": "2026-03-01T10:00:00.123456Z"
                     *     }
                     */
                    "application/json": components["schemas"]["ConsoleSessionOut"];
                };
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    console_session_create: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["SignIn"];
            };
        };
        responses: {
            /** @description The session; the response sets its cookie. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *       "user": {
                     *         "id": 1,
                     *         "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *         "distinct_id": "f0a1b2c3d4e5",
                     *         "first_name": "Ada",
                     *         "last_name": "Example",
                     *         "email": "ada@example.com",
                     *         "is_email_verified": true,
                     *         "hedgehog_config": null,
                     *         "role_at_organization": null
                     *       },
                     *       "projects": [
                     *         {
                     *           "id": 1,
                     *           "name": "Test Team",
                     *           "organization": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40"
                     *         }
                     *       ],
                     *       "scopes": [
                     *         "*"
                     *       ],
                     *       "created_at": "2026-03-01T10:00:00.123456Z",
                     *       "expires_at": "2026-03-01T10:00:00.123456Z"
                     *     }
                     */
                    "application/json": components["schemas"]["ConsoleSessionOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is not JSON. */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    console_session_destroy: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The session has ended. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    console_sessions_list: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The caller's sessions. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "results": [
                     *         {
                     *           "id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "created_at": "2026-03-01T10:00:00.123456Z",
                     *           "last_used_at": "2026-03-01T10:00:00.123456Z",
                     *           "user_agent": "Mozilla/5.0",
                     *           "address": "203.0.113.7",
                     *           "current": true
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["ConsoleSessionList"];
                };
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    console_sessions_destroy: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of a console session of the caller. */
                session_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The session has ended. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The resource does not exist, or the caller may not see it. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    projects_list: {
        parameters: {
            query?: {
                /** @description Page size. Values above 100 are reduced to it; a value that is not a positive number means the default. */
                limit?: number;
                /** @description Number of results to skip. A value that is not a positive number means 0. */
                offset?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of projects. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "count": 1,
                     *       "next": null,
                     *       "previous": null,
                     *       "results": [
                     *         {
                     *           "id": 1,
                     *           "uuid": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "organization": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                     *           "project_id": 1,
                     *           "api_token": "phc_8s7d6f5g4h3j2k1l",
                     *           "name": "Test Team",
                     *           "timezone": "UTC"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["ProjectPage"];
                };
            };
            /** @description The key is missing, unknown or revoked. */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded; `Retry-After` gives the seconds to wait. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhooks_github_create: {
        parameters: {
            query?: {
                /** @description Id of the integration with the webhook secret that signed the request. */
                integration?: number | null;
            };
            header?: {
                /** @description GitHub's name of the event type. */
                "X-GitHub-Event"?: string;
                /** @description GitHub's id of the delivery. */
                "X-GitHub-Delivery"?: string;
                /** @description `sha256=` and the HMAC-SHA256 of the body, in hexadecimal digits. */
                "X-Hub-Signature-256"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Whether a run was started. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "started",
                     *       "reason": "No run pushed this commit.",
                     *       "run": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40"
                     *     }
                     */
                    "application/json": components["schemas"]["WebhookOut"];
                };
            };
            /** @description The body or the query is invalid; `attr` names the field. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The key is missing, unknown or revoked, lacks the scope, or may not use this project. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The body is larger than 20 MB. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description The request limit is exceeded, and `Retry-After` gives the seconds to wait; or the project is over its usage limit. */
            429: {
                headers: {
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"] | components["schemas"]["UsageLimitOut"];
                };
            };
            /** @description An unexpected error. The service's log has the details under the response's `X-Request-Id`. */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description A server that the service depends on does not respond. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    livez: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The process is alive. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "ok"
                     *     }
                     */
                    "application/json": components["schemas"]["LivenessOut"];
                };
            };
            /** @description The path does not accept this method; `Allow` lists the methods that it accepts. */
            405: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    readyz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All servers are ready. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "ok",
                     *       "database": "ok",
                     *       "redis": "ok",
                     *       "object_store": "ok"
                     *     }
                     */
                    "application/json": components["schemas"]["ReadinessOut"];
                };
            };
            /** @description The path does not accept this method; `Allow` lists the methods that it accepts. */
            405: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
            /** @description At least one server is not ready; the body names it. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReadinessOut"];
                };
            };
        };
    };
    metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Metrics in the text format of Prometheus. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /** @example taskbeacon_http_requests_total{method="GET",route="/livez",status="200"} 1.0 */
                    "text/plain": string;
                };
            };
            /** @description The path does not accept this method; `Allow` lists the methods that it accepts. */
            405: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorOut"];
                };
            };
        };
    };
    webhook_task_created: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "task.created",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/"
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "task.created";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_task_updated: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "task.updated",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "changed": [
                 *           "description",
                 *           "title"
                 *         ]
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "task.updated";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** @description Names of the fields written. */
                        changed: string[];
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_task_deleted: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "task.deleted",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/"
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "task.deleted";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_run_queued: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "run.queued",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "run_id": "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40",
                 *         "status": "queued",
                 *         "queue_position": 1
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "run.queued";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** Format: uuid */
                        run_id: string;
                        /** @constant */
                        status: "queued";
                        /** @description Its place among the waiting runs of the project. */
                        queue_position?: number;
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /** @description Full bodies: the run as `GET` answered then. */
                        run?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_run_started: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "run.started",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "run_id": "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40",
                 *         "status": "in_progress",
                 *         "attempt": 1
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "run.started";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** Format: uuid */
                        run_id: string;
                        /** @constant */
                        status: "in_progress";
                        /** @description How often a worker took it up. */
                        attempt: number;
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /** @description Full bodies: the run as `GET` answered then. */
                        run?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_run_recovered: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "run.recovered",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "run_id": "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40",
                 *         "status": "queued",
                 *         "attempt": 1,
                 *         "queue_position": 1
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "run.recovered";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** Format: uuid */
                        run_id: string;
                        /** @constant */
                        status: "queued";
                        /** @description How often a worker took it up. */
                        attempt: number;
                        /** @description Its place among the waiting runs of the project. */
                        queue_position: number;
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /** @description Full bodies: the run as `GET` answered then. */
                        run?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_run_awaiting_input: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "run.awaiting_input",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "run_id": "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40",
                 *         "kind": "permission",
                 *         "question_id": "019ca8a033337c3e9f620b5c1d2e3f40"
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "run.awaiting_input";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** Format: uuid */
                        run_id: string;
                        /** @enum {string} */
                        kind: "permission" | "message";
                        /** @description What an answer names; absent for a message. */
                        question_id?: string;
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /** @description Full bodies: the run as `GET` answered then. */
                        run?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_run_resumed: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "run.resumed",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "run_id": "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40",
                 *         "kind": "permission",
                 *         "question_id": "019ca8a033337c3e9f620b5c1d2e3f40"
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "run.resumed";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** Format: uuid */
                        run_id: string;
                        /** @enum {string} */
                        kind: "permission" | "message";
                        /** @description The question that was settled. */
                        question_id?: string;
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /** @description Full bodies: the run as `GET` answered then. */
                        run?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_question_opened: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "question.opened",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "run_id": "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40",
                 *         "question_id": "019ca8a033337c3e9f620b5c1d2e3f40",
                 *         "kind": "permission",
                 *         "urgency": "normal"
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "question.opened";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** Format: uuid */
                        run_id: string;
                        /** @description What an answer names, and the same as the id of the question. */
                        question_id: string;
                        /** @enum {string} */
                        kind: "permission" | "form" | "url" | "message";
                        /** @enum {string} */
                        urgency: "low" | "normal" | "high";
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /** @description Full bodies: the run as `GET` answered then. */
                        run?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_question_answered: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "question.answered",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "run_id": "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40",
                 *         "question_id": "019ca8a033337c3e9f620b5c1d2e3f40",
                 *         "kind": "permission",
                 *         "urgency": "normal",
                 *         "via": "api",
                 *         "option_kind": "allow_once"
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "question.answered";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** Format: uuid */
                        run_id: string;
                        /** @description What an answer names, and the same as the id of the question. */
                        question_id: string;
                        /** @enum {string} */
                        kind: "permission" | "form" | "url" | "message";
                        /** @enum {string} */
                        urgency: "low" | "normal" | "high";
                        /** @enum {string} */
                        via: "api" | "console" | "cli" | "action_token" | "mcp" | "a2a" | "rule";
                        /** @description The kind of the option that was chosen, if one was. */
                        option_kind?: string;
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /** @description Full bodies: the run as `GET` answered then. */
                        run?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_question_expired: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "question.expired",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "run_id": "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40",
                 *         "question_id": "019ca8a033337c3e9f620b5c1d2e3f40",
                 *         "kind": "permission",
                 *         "urgency": "normal"
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "question.expired";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** Format: uuid */
                        run_id: string;
                        /** @description What an answer names, and the same as the id of the question. */
                        question_id: string;
                        /** @enum {string} */
                        kind: "permission" | "form" | "url" | "message";
                        /** @enum {string} */
                        urgency: "low" | "normal" | "high";
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /** @description Full bodies: the run as `GET` answered then. */
                        run?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_question_withdrawn: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "question.withdrawn",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "run_id": "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40",
                 *         "question_id": "019ca8a033337c3e9f620b5c1d2e3f40",
                 *         "kind": "permission",
                 *         "urgency": "normal"
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "question.withdrawn";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** Format: uuid */
                        run_id: string;
                        /** @description What an answer names, and the same as the id of the question. */
                        question_id: string;
                        /** @enum {string} */
                        kind: "permission" | "form" | "url" | "message";
                        /** @enum {string} */
                        urgency: "low" | "normal" | "high";
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /** @description Full bodies: the run as `GET` answered then. */
                        run?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_run_completed: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "run.completed",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "run_id": "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40",
                 *         "status": "completed"
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "run.completed";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** Format: uuid */
                        run_id: string;
                        /** @constant */
                        status: "completed";
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /** @description Full bodies: the run as `GET` answered then. */
                        run?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_run_failed: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "run.failed",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "run_id": "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40",
                 *         "status": "failed",
                 *         "error_type": "agent_timed_out"
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "run.failed";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** Format: uuid */
                        run_id: string;
                        /** @constant */
                        status: "failed";
                        /** @description A word for programs: `agent_crashed`, `agent_timed_out`, `budget_spent`, `repository_not_found`, `worker_lost`, `client`, and others. */
                        error_type: string;
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /** @description Full bodies: the run as `GET` answered then. */
                        run?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_run_cancelled: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "run.cancelled",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "run_id": "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40",
                 *         "status": "cancelled"
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "run.cancelled";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** Format: uuid */
                        run_id: string;
                        /** @constant */
                        status: "cancelled";
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /** @description Full bodies: the run as `GET` answered then. */
                        run?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_run_pull_request_opened: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "run.pull_request_opened",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "run_id": "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40",
                 *         "pr_url": "https://github.com/acme/shop/pull/7"
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "run.pull_request_opened";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** Format: uuid */
                        run_id: string;
                        pr_url: string;
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /** @description Full bodies: the run as `GET` answered then. */
                        run?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_run_artifact_added: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "run.artifact_added",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "task_id": "019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40",
                 *         "seq": 3,
                 *         "url": "/api/projects/1/tasks/019ca8a0-1111-7c3e-9f62-0b5c1d2e3f40/",
                 *         "run_id": "019ca8a0-2222-7c3e-9f62-0b5c1d2e3f40",
                 *         "artifact_id": "0b5c1d2e3f40419f8a7b6c5d4e3f2a1b",
                 *         "type": "output",
                 *         "size": 2048
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "run.artifact_added";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        task_id: string;
                        /** @description Counts the events of the run, else of the task. */
                        seq: number;
                        /** @description Where people see the task; a path of the API if nothing is configured. */
                        url: string;
                        /** Format: uuid */
                        run_id: string;
                        artifact_id: string;
                        type: string;
                        size: number;
                        /** @description Full bodies: the task as `GET` answered then. */
                        task?: Record<string, never>;
                        /** @description Full bodies: the run as `GET` answered then. */
                        run?: Record<string, never>;
                        /**
                         * @description A full body was wanted, and is too large or not there: read the task.
                         * @constant
                         */
                        truncated?: true;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_webhook_endpoint_disabled: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "webhook_endpoint.disabled",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "endpoint_id": "019ca8a0-6666-7c3e-9f62-0b5c1d2e3f40",
                 *         "reason": "no_success"
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "webhook_endpoint.disabled";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        endpoint_id: string;
                        /** @enum {string} */
                        reason: "gone" | "no_success" | "blocked_address" | "creator_deactivated" | "creator_left" | "user";
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    webhook_ping: {
        parameters: {
            query?: never;
            header: {
                /** @description Id of the event, the same for every delivery attempt. */
                "webhook-id": string;
                /** @description Time of this delivery attempt, in seconds since 1970. */
                "webhook-timestamp": string;
                /** @description Signature of the message, `v1,…`; several while a secret is being replaced. */
                "webhook-signature": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "ping",
                 *       "timestamp": "2026-03-01T09:30:00.123456Z",
                 *       "data": {
                 *         "project_id": 1,
                 *         "endpoint_id": "019ca8a0-6666-7c3e-9f62-0b5c1d2e3f40"
                 *       }
                 *     }
                 */
                "application/json": {
                    /** @constant */
                    type: "ping";
                    /** Format: date-time */
                    timestamp: string;
                    data: {
                        project_id: number;
                        /** Format: uuid */
                        endpoint_id: string;
                    };
                };
            };
        };
        responses: {
            /** @description The event is delivered. After any other status it is sent again later; 410 disables the endpoint. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
}
