//go:build xla

// PJRT's C interface grows: structures get new fields at their end, and a plugin refuses
// one that is shorter than its own header says. New fields that are zero mean what the
// older interface did. So the binding, whose header is of one day, gets a table of
// functions that call the plugin with longer copies of their arguments, zero at the end,
// and copy back what came. Every function of the table takes one structure, whose first
// field is its size.
//
// The binding waits for the end of every run. Here a run asks for no event of its end, and
// waiting for no event is over at once: what reads a result waits for it.
//
// The binding keeps the bytes of an upload until the transfer is over, and waits for that.
// A GPU's transfers queue up behind the runs before them, so each upload would wait for
// the device to be idle. Here the plugin copies the bytes before it returns, but for
// large ones, as a whole data set: those come before all runs, and would be copied to
// pinned memory of that size.
//
// The same table can load a serialised executable in place of a compilation, and
// serialise one, which the binding has no functions for.
#include "adapter_linux.h"

#include <alloca.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef void *(*function)(void *);

// Places in the table, which never change.
enum { ERROR_DESTROY = 0, EVENT_DESTROY = 5, EVENT_AWAIT = 8, CLIENT_ADDRESSABLE_DEVICES = 16, CLIENT_COMPILE = 20, BUFFER_FROM_HOST = 22, DEVICE_MEMORY_STATS = 34, EXECUTABLE_DESTROY = 40, EXECUTABLE_SERIALIZE = 49, LOADED_GET_EXECUTABLE = 51, LOADED_EXECUTE = 55, DESERIALIZE_AND_LOAD = 56, BUFFER_TO_HOST = 70 };
enum { FUNCTIONS = 220, ROOM = 512, LARGEST = 1 << 16, LARGE_UPLOAD = 1 << 24 };

struct table {
  size_t size;
  void *extension;
  size_t version_size;
  void *version_extension;
  int major, minor;
  function calls[FUNCTIONS];
};

static const struct table *plugin;
static struct table adapted;

static void *device; // the first that a client showed

static const void *cached;
static size_t cached_size;
static int want_serialised, was_loaded;
static char *serialised;
static size_t serialised_size;

// longer copies a structure into room for ROOM bytes more.
static void longer(char *to, const void *from) {
  size_t size = *(const size_t *)from;
  memcpy(to, from, size);
  memset(to + size, 0, ROOM);
  *(size_t *)to = size + ROOM;
}

// shorter copies it back.
static void shorter(void *to, const char *from) {
  size_t size = *(size_t *)to;
  memcpy(to, from, size);
  *(size_t *)to = size;
}

// The structure within a structure that some functions take, and where it stands.
static void **inner(int n, char *args) {
  return n == CLIENT_COMPILE || n == LOADED_EXECUTE || n == BUFFER_TO_HOST ? (void **)(args + 24) : NULL;
}

static void *plain(int n, void *args) {
  size_t size = *(size_t *)args;
  if (size > LARGEST) return plugin->calls[n](args);
  char *copy = alloca(size + ROOM);
  longer(copy, args);
  void **at = inner(n, copy), *within = at ? *at : NULL;
  if (within && *(size_t *)within <= LARGEST) {
    *at = alloca(*(size_t *)within + ROOM);
    longer(*at, within);
  }
  void *error = plugin->calls[n](copy);
  if (at) {
    if (within && *at != within) shorter(within, *at);
    *at = within;
  }
  shorter(args, copy);
  return error;
}

static void drop(void *error) {
  struct { size_t size; void *extension, *error; } a = {sizeof a, NULL, error};
  plain(ERROR_DESTROY, &a);
}

// Arguments of the functions that are called here.
struct event { size_t size; void *extension, *event; };
struct execute { size_t size; void *extension, *executable, *options, *arguments; size_t devices, count; void *results, **events, *device; };
struct compile { size_t size; void *extension, *client, *program; const char *options; size_t options_size; void *executable; };
struct load { size_t size; void *extension, *client; const char *bytes; size_t bytes_size; void *executable; const char *options; size_t options_size; };
struct get { size_t size; void *extension, *loaded, *executable; };
struct destroy { size_t size; void *extension, *executable; };
struct upload { size_t size; void *extension, *client; const void *data; int type; const int64_t *dims; size_t rank; const int64_t *strides; size_t stride_count; int semantics; };
struct devices { size_t size; void *extension, *client, **devices; size_t count; };
struct memory {
  size_t size;
  void *extension, *device;
  int64_t used;
  struct { int64_t value; bool set; } peak, allocations, largest, limit;
};
struct serialize { size_t size; void *extension; const void *executable; const char *bytes; size_t bytes_size; void *owner; void (*free)(void *); };

static int has(int n) { return (plugin->size - offsetof(struct table, calls)) / sizeof(function) > (size_t)n && plugin->calls[n]; }

static void serialise(void *loaded) {
  struct get g = {sizeof g, NULL, loaded, NULL};
  void *error = plain(LOADED_GET_EXECUTABLE, &g);
  if (error) { drop(error); return; }
  struct serialize s = {sizeof s, NULL, g.executable, NULL, 0, NULL, NULL};
  error = plain(EXECUTABLE_SERIALIZE, &s);
  if (error) {
    drop(error);
  } else {
    serialised = malloc(s.bytes_size);
    if (serialised) {
      memcpy(serialised, s.bytes, s.bytes_size);
      serialised_size = s.bytes_size;
    }
    if (s.free) s.free(s.owner);
  }
  struct destroy d = {sizeof d, NULL, g.executable};
  error = plain(EXECUTABLE_DESTROY, &d);
  if (error) drop(error);
}

static void *compile(void *args) {
  struct compile *c = args;
  const void *bytes = cached;
  size_t size = cached_size;
  int keep = want_serialised;
  cached = NULL;
  cached_size = 0;
  want_serialised = was_loaded = 0;
  free(serialised);
  serialised = NULL;
  serialised_size = 0;
  if (bytes && has(DESERIALIZE_AND_LOAD)) {
    struct load l = {sizeof l, NULL, c->client, bytes, size, NULL, NULL, 0};
    void *error = plain(DESERIALIZE_AND_LOAD, &l);
    if (!error) {
      c->executable = l.executable;
      was_loaded = 1;
      return NULL;
    }
    drop(error);
  }
  void *error = plain(CLIENT_COMPILE, args);
  if (!error && keep && has(EXECUTABLE_SERIALIZE)) serialise(c->executable);
  return error;
}

static void *execute(struct execute *e) {
  void **events = e->events;
  e->events = NULL;
  void *error = plain(LOADED_EXECUTE, e);
  e->events = events;
  if (events) memset(events, 0, e->devices * sizeof *events);
  return error;
}

static void copied(struct upload *u) {
  int64_t elements = 1;
  for (size_t i = 0; i < u->rank && elements <= LARGE_UPLOAD; i++) elements *= u->dims[i];
  if (elements <= LARGE_UPLOAD) u->semantics = 0; // immutable only during the call
}

static void *show_devices(struct devices *d) {
  void *error = plain(CLIENT_ADDRESSABLE_DEVICES, d);
  if (!error && d->count > 0) device = d->devices[0];
  return error;
}

static void *call(int n, void *args) {
  switch (n) {
  case CLIENT_ADDRESSABLE_DEVICES:
    return show_devices(args);
  case CLIENT_COMPILE:
    return compile(args);
  case LOADED_EXECUTE:
    return execute(args);
  case BUFFER_FROM_HOST:
    copied(args);
    break;
  case EVENT_DESTROY:
  case EVENT_AWAIT:
    if (!((struct event *)args)->event) return NULL;
  }
  return plain(n, args);
}

#define F(n) static void *f##n(void *a) { return call(n, a); }
#define TEN(p) F(p##0) F(p##1) F(p##2) F(p##3) F(p##4) F(p##5) F(p##6) F(p##7) F(p##8) F(p##9)
F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9)
TEN(1) TEN(2) TEN(3) TEN(4) TEN(5) TEN(6) TEN(7) TEN(8) TEN(9) TEN(10) TEN(11) TEN(12) TEN(13) TEN(14) TEN(15) TEN(16) TEN(17) TEN(18) TEN(19) TEN(20) TEN(21)
#undef F
#undef TEN
#define F(n) f##n,
#define TEN(p) F(p##0) F(p##1) F(p##2) F(p##3) F(p##4) F(p##5) F(p##6) F(p##7) F(p##8) F(p##9)
static const function adapters[FUNCTIONS] = {
  F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9)
  TEN(1) TEN(2) TEN(3) TEN(4) TEN(5) TEN(6) TEN(7) TEN(8) TEN(9) TEN(10) TEN(11) TEN(12) TEN(13) TEN(14) TEN(15) TEN(16) TEN(17) TEN(18) TEN(19) TEN(20) TEN(21)
};

char *adapter_load(const char *path, void **api) {
  void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
  if (!library) return strdup(dlerror());
  const struct table *(*get)(void) = (const struct table *(*)(void))dlsym(library, "GetPjrtApi");
  if (!get) return strdup("it has no function GetPjrtApi, so it is no PJRT plugin");
  plugin = get();
  if (!plugin || plugin->size <= offsetof(struct table, calls)) return strdup("GetPjrtApi gave no table of functions");
  adapted = (struct table){plugin->size, plugin->extension, plugin->version_size, plugin->version_extension, plugin->major, plugin->minor, {0}};
  if (adapted.size > sizeof adapted) adapted.size = sizeof adapted;
  for (int n = 0; n < FUNCTIONS; n++)
    if (has(n)) adapted.calls[n] = adapters[n];
  *api = &adapted;
  return NULL;
}

int adapter_room(int64_t *bytes) {
  if (!device || !has(DEVICE_MEMORY_STATS)) return 0;
  struct memory m = {.size = sizeof m, .device = device};
  void *error = plain(DEVICE_MEMORY_STATS, &m);
  if (error) drop(error);
  *bytes = m.limit.value - m.used;
  return !error && m.limit.set;
}

void adapter_library(const char *path) { dlopen(path, RTLD_NOW | RTLD_GLOBAL); }
void adapter_cached(const void *bytes, size_t size) { cached = bytes; cached_size = size; }
void adapter_serialise(void) { want_serialised = 1; }
size_t adapter_result(int *loaded) { *loaded = was_loaded; return serialised_size; }
void adapter_take(void *to) { memcpy(to, serialised, serialised_size); }
