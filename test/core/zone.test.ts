import { expect, test } from "vitest";
import { createZone, formatOffset, instantOfWall, isZoneName, wallOfInstant } from "../../src/core/zone.ts";

test.each([
  "UTC",
  "Europe/Berlin",
  "America/Argentina/ComodRivadavia",
  "America/Port-au-Prince",
  "Africa/Dar_es_Salaam",
  "America/North_Dakota/New_Salem",
  "Antarctica/McMurdo",
  "Antarctica/DumontDUrville",
  "Australia/ACT",
  "Etc/GMT+1",
  "Etc/GMT-14",
  "EST5EDT",
  "NZ-CHAT",
  "US/East-Indiana",
  "Asia/Kolkata",
  "Asia/Calcutta",
  "Europe/Isle_of_Man",
  "Europe/Kyiv",
  "GB-Eire",
  "Asia/Ust-Nera",
  "America/Bahia_Banderas",
])("isZoneName() knows %s", (name) => {
  expect(isZoneName(name)).toBe(true);
});

test.each([
  "",
  "europe/berlin",
  "EUROPE/BERLIN",
  "Europe/berlin",
  "Not/AZone",
  "GMT+1",
  "+01:00",
  "PST",
  "IST",
  "utc",
  "Berlin",
  "../etc/localtime",
  "Europe/Berlin ",
  "SystemV/PST8",
  "Europe/",
  "America/new_York",
])("isZoneName() does not know %j", (name) => {
  expect(isZoneName(name)).toBe(false);
});

test("createZone() falls back to the server's offset", () => {
  for (const name of [null, "", "Not/AZone", "europe/berlin"]) {
    const zone = createZone(name, 345);
    expect([zone.name, zone.offsetMsAt(0), zone.offsetMsAt(4e12)]).toEqual(["UTC+05:45", 20_700_000, 20_700_000]);
  }
});

test("createZone() takes a name with blanks around it, as Hermes does", () => {
  expect(createZone(" Europe/Berlin ", 0).name).toBe("Europe/Berlin");
});

test.each([
  ["America/New_York", "2026-03-08T06:59:59.999Z", -300],
  ["America/New_York", "2026-03-08T07:00:00.000Z", -240],
  ["America/New_York", "2026-11-01T05:59:59.999Z", -240],
  ["America/New_York", "2026-11-01T06:00:00.000Z", -300],
  ["Australia/Lord_Howe", "2026-04-04T14:59:59.999Z", 660],
  ["Australia/Lord_Howe", "2026-04-04T15:00:00.000Z", 630],
  ["America/St_Johns", "2026-07-01T00:00:00.000Z", -150],
  ["Asia/Kathmandu", "2026-07-01T00:00:00.000Z", 345],
  ["Europe/Dublin", "2026-01-01T00:00:00.000Z", 0],
  ["Pacific/Apia", "2011-12-30T09:59:59.999Z", -600],
  ["Pacific/Apia", "2011-12-30T10:00:00.000Z", 840],
])("offsetMsAt() of %s at %s is %d minutes", (name, at, minutes) => {
  expect(createZone(name, 0).offsetMsAt(Date.parse(at))).toBe(minutes * 60_000);
});

test.each([
  ["2026-03-08T01:59", "2026-03-08T06:59Z", "2026-03-08T06:59Z"],
  ["2026-03-08T02:30", "2026-03-08T07:30Z", "2026-03-08T06:30Z"],
  ["2026-03-08T03:00", "2026-03-08T07:00Z", "2026-03-08T07:00Z"],
  ["2026-11-01T00:59", "2026-11-01T04:59Z", "2026-11-01T04:59Z"],
  ["2026-11-01T01:30", "2026-11-01T05:30Z", "2026-11-01T06:30Z"],
  ["2026-11-01T02:00", "2026-11-01T07:00Z", "2026-11-01T07:00Z"],
])("instantOfWall() of %s in New York is %s with fold 0 and %s with fold 1", (wall, first, second) => {
  const zone = createZone("America/New_York", 0);
  const wallMs = Date.parse(`${wall}Z`);
  expect([instantOfWall(wallMs, 0, zone), instantOfWall(wallMs, 1, zone)]).toEqual([
    Date.parse(first),
    Date.parse(second),
  ]);
});

test("wallOfInstant() turns instantOfWall() back wherever the clock stands still", () => {
  const zone = createZone("Europe/Berlin", 0);
  for (let wallMs = Date.parse("2026-01-01T12:00Z"); wallMs < Date.parse("2028-01-01Z"); wallMs += 86_400_000) {
    expect(wallOfInstant(instantOfWall(wallMs, 0, zone), zone)).toBe(wallMs);
  }
});

test.each([
  [0, "+00:00"],
  [20_700_000, "+05:45"],
  [-9_000_000, "-02:30"],
  [3_208_000, "+00:53:28"],
])("formatOffset() writes %d ms as %s", (offsetMs, text) => {
  expect(formatOffset(offsetMs)).toBe(text);
});
