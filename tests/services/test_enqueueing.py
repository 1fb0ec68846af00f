from app.ids import new_id
from app.services.enqueueing import enqueue_run, enqueue_scan, enqueue_verification
from tests.support.stand_ins.fakes import RecordingQueue


async def test_jobs_have_the_arguments_that_a_worker_of_another_release_knows() -> None:
    queue, run_id = RecordingQueue(), new_id()

    await enqueue_run(queue, run_id)
    await enqueue_verification(queue, run_id, 1)
    await enqueue_scan(queue, 7, "acme/shop")

    assert [(job.name, job.arguments) for job in queue.jobs] == [
        ("execute_run", {"run_id": str(run_id)}),
        ("verify_run", {}),
        ("scan_repository", {"project_id": 7, "repository": "acme/shop"}),
    ]
