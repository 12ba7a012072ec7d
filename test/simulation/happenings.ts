import { formatInstant } from "../../src/core/instant.ts";
import { nextOccurrence } from "../../src/core/next-occurrence.ts";
import { formatScheduleKey } from "../../src/core/observe-slots.ts";
import { createZone } from "../../src/core/zone.ts";
import { fireFencePath } from "../../src/store/fire-fence.ts";
import { fakeHostname } from "../helpers/fake-processes.ts";
import type { Draw } from "../helpers/fake-random.ts";
import type { JobEvent, PlannedEvent } from "./scenario.ts";
import { pathOf, type Supervision, type World } from "./simulate.ts";
import type { JobStory, StoredRecord } from "./story.ts";

/** Makes planned events happen, and whatever follows from them. */
export interface Happenings {
  happen(event: PlannedEvent): void;
  /** The quiet time begins: whatever lasts ends now. */
  end(): void;
}

export function createHappenings(world: World, draw: Draw, supervision: Supervision): Happenings {
  const { clock, files, locks, host, story, scenario } = world;
  const zone = createZone(scenario.zone, 0);
  /** What is to be undone at the latest when the quiet time begins. */
  const lasting = new Set<() => void>();
  let isQuiet = false;

  function last(forMs: number, undo: () => void): void {
    const calm = world.trouble();
    const once = (): void => {
      if (!lasting.delete(once)) return;
      undo();
      calm();
    };
    lasting.add(once);
    clock.after(forMs, once);
  }

  /** What a watch does when a store has changed. It can miss a change. */
  function noticed(home: string | null): void {
    if (draw.chance(0.1)) {
      // Then it takes until the daemon looks by itself.
      for (const inMs of [10_000, 20_000, 30_000, 31_000]) clock.after(inMs, world.disturb);
      return;
    }
    clock.after(15 + 60 * draw.number(), () => {
      const daemon = supervision.current();
      daemon?.life.step(() => {
        if (home === null) daemon.refresh();
        daemon.daemon.nudge(home);
      });
    });
  }

  function holdLock(path: string, forMs: number): void {
    if (locks.has(path)) return;
    const stranger = host.start("stranger", null);
    locks.set(path, stranger.pid);
    last(forMs, () => {
      if (locks.get(path) === stranger.pid) locks.delete(path);
      host.kill(stranger, { code: 0 });
    });
  }

  function happen(event: PlannedEvent): void {
    if (isQuiet) return;
    world.tell(`happens: ${JSON.stringify(event)}`);
    switch (event.kind) {
      case "kill":
        supervision.kill(event);
        return;
      case "sigterm": {
        const handing = supervision.current();
        handing?.life.step(() => handing.handOver());
        clock.after(20 * draw.number(), () => {
          if (handing?.life.isAlive()) supervision.down(event.downMs);
        });
        return;
      }
      case "reboot":
        host.reboot();
        world.gateways.clear();
        supervision.down(event.downMs);
        return;
      case "clock":
        clock.setWall(clock.nowMs() + event.byMs);
        if (event.byMs < 0) world.setBacks.push({ toMs: clock.nowMs(), atMonotonicMs: clock.monotonicMs() });
        // No timer of the daemon notices, so it takes until it looks by itself.
        last(32_000, () => undefined);
        return;
      case "full disk":
        files.freeBytesLeft = 0;
        last(event.forMs, () => {
          files.freeBytesLeft = 1e12;
        });
        return;
      case "pressure": {
        const write = (percent: number): void => {
          files.makeFolder("/proc/pressure", 0o755, true);
          files.plant("/proc/pressure/cpu", `some avg10=${percent}.00 avg60=0.00 avg300=0.00 total=1\n`);
        };
        write(event.cpuPercent);
        last(event.forMs, () => write(0));
        return;
      }
      case "strangers":
        last(event.forMs, host.sendStrangers());
        return;
      case "stop all": {
        const path = `${pathOf(event.home)}/ESTOP`;
        files.plant(path, "");
        noticed(null);
        last(event.forMs, () => {
          if (files.stat(path) !== null) files.remove(path);
          noticed(null);
        });
        return;
      }
      case "environment":
        if (files.freeBytesLeft > 0) story.changeEnvironment(world, event.home);
        noticed(null);
        return;
      case "lock":
        holdLock(`${pathOf(event.home)}/cron/.${event.lock}.lock`, event.forMs);
        return;
      default:
        happenToJob(event);
    }
  }

  function happenToJob(event: { readonly home: string; readonly job: string } & JobEvent): void {
    if (event.kind === "create") {
      story.create(world, event.home, event.planned);
      noticed(event.home);
      return;
    }
    const job = story.job(event.home, event.job);
    if (job === null) return;
    const cronFolder = `${pathOf(event.home)}/cron`;
    switch (event.kind) {
      case "fence":
        holdLock(fireFencePath(cronFolder, event.job), event.forMs);
        return;
      case "gateway":
        planGateway(job, event.forMs, event.dies);
        return;
      case "out of memory": {
        world.disturb();
        const places = [...host.processes.values()].filter((one) => one.name === event.takes);
        const taken = places.find(({ run }) => run?.order?.jobId === job.id && run.order.home === pathOf(job.home));
        if (taken !== undefined) host.kill(taken, { signal: "SIGKILL" });
        return;
      }
      case "run": {
        const daemon = supervision.current();
        daemon?.life.step(() => {
          Promise.resolve(daemon.control.runJob(job.home, job.id)).catch((error: unknown) => {
            if (files.freeBytesLeft > 0 && error instanceof Error)
              world.report("control", `a request was answered with ${error.stack}`);
          });
        });
        return;
      }
      case "stop": {
        const daemon = supervision.current();
        const run = world.ledger.openRuns(job.home).find((one) => one.jobId === job.id);
        if (run !== undefined) daemon?.life.step(() => daemon.control.stopRun(run.id, event.now));
        return;
      }
      default:
        // Other writers wait for the jobs lock, and on a full disk they fail.
        if (locks.has(`${cronFolder}/.jobs.lock`) || files.freeBytesLeft <= 0) return;
        if (event.kind === "edit") story.edit(world, job, event.schedule);
        else story[event.kind](world, job);
        noticed(job.home);
    }
  }

  /** A gateway that is there for one slot: it takes the tick lock a little before, claims, runs the job, and settles it. */
  function planGateway(job: JobStory, forMs: number, dies: boolean): void {
    const lockPath = `${pathOf(job.home)}/cron/.tick.lock`;
    const seen = story.read(world, job);
    const dueMs = Date.parse(String(seen?.["next_run_at"]));
    const inMs = dueMs - clock.nowMs() - 100;
    if (seen?.["enabled"] !== true || !(inMs > 0 && inMs < 120_000)) return;
    clock.after(inMs, () => {
      if (isQuiet || locks.has(lockPath)) return;
      const gateway = host.start("gateway", null);
      locks.set(lockPath, gateway.pid);
      const calm = world.trouble();
      const by = `${fakeHostname}:${gateway.pid}:${"0123456789abcdef".repeat(2)}`;
      const place = `${job.home}/${job.id}`;
      clock.after(130 + 50 * draw.number(), () => {
        if (locks.get(lockPath) === gateway.pid) locks.delete(lockPath);
        calm();
        if (!gateway.alive || job.isGone || files.freeBytesLeft <= 0 || locks.has(lockPath.replace("tick", "jobs"))) {
          host.kill(gateway, { code: 0 });
          return;
        }
        let isClaimed = false;
        story.change(world, job, (record) => {
          const nowMs = clock.nowMs();
          if (record["enabled"] !== true || isHeld(record)) return;
          if (Date.parse(String(record["next_run_at"])) !== dueMs || dueMs > nowMs) return;
          isClaimed = claimAsGateway(job, record, by, nowMs);
        });
        if (!isClaimed) {
          host.kill(gateway, { code: 0 });
          return;
        }
        world.tell(`a gateway runs ${job.id} of ${job.home}`);
        job.isShared = true;
        world.gateways.add(place);
        noticed(job.home);
        last(forMs, () => {
          world.gateways.delete(place);
          if (gateway.alive && !dies && !job.isGone) {
            world.tell(`the gateway ends its run of ${job.id}`);
            settleAsGateway(job, by);
            noticed(job.home);
          }
          host.kill(gateway, { code: 0 });
        });
      });
    });
  }

  /** A gateway frees the claim of a process of its own host that is dead. */
  function isHeld(record: StoredRecord): boolean {
    const claim = record["fire_claim"] as { readonly by?: string } | null | undefined;
    return host.processes.has(Number(claim?.by?.split(":")[1]));
  }

  function claimAsGateway(job: JobStory, record: StoredRecord, by: string, nowMs: number): boolean {
    const schedule = job.spans.at(-1)?.schedule;
    if (schedule?.kind !== "cron") return false;
    const dueMs = Date.parse(String(record["next_run_at"]));
    // An edit that no daemon saw can name what the rule before it named, too.
    const awaited = world.ledger.cursors(job.home).get(job.id);
    if (awaited?.nextAtMs !== dueMs || awaited.scheduleText !== formatScheduleKey(schedule)) job.unseen.add(dueMs);
    const nextMs = nextOccurrence(schedule, nowMs, zone);
    record["fire_claim"] = { at: formatInstant(nowMs, zone), by };
    record["next_run_at"] = nextMs === null ? null : formatInstant(nextMs, zone);
    return true;
  }

  function settleAsGateway(job: JobStory, by: string): void {
    story.change(world, job, (record) => {
      const claim = record["fire_claim"] as { readonly by?: string } | null;
      if (claim?.by !== by) {
        world.report("L2", `the claim of a living gateway on ${job.id} was taken by ${claim?.by ?? "nobody"}`);
        return;
      }
      const at = formatInstant(clock.nowMs(), zone);
      Object.assign(record, { fire_claim: null, last_run_at: at, last_status: "ok", last_error: null });
    });
  }

  return {
    happen,
    end() {
      isQuiet = true;
      world.tell("the quiet time begins");
      for (const undo of [...lasting]) undo();
    },
  };
}
