// A PJRT plugin that stands in for a GPU's: arrays are host memory, and modules are
// compiled and run by a process of the tests that speaks over two pipes.
//
// ENTANGLE_STANDIN names the program of that process; ENTANGLE_STANDIN_MODE makes the
// plugin misbehave: "hang" when a client is created, "refuse" to create one, "none"
// for a client without devices.
//
// It takes itself for a later version of PJRT, whose structures are longer, and refuses
// shorter ones. ENTANGLE_STANDIN_LOG names a file that it writes "compile" and "load" to.
//
// Donation is strict: an argument that the module ties to a result, and that the call
// does not except, is used up; a use after that is an error.
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pjrt_c_api.h"

struct PJRT_Error { char text[4096]; PJRT_Error_Code code; };
struct PJRT_Event { int unused; };
struct PJRT_Client { int unused; };
struct PJRT_Device { int number; };
struct PJRT_DeviceDescription { int unused; };
struct PJRT_Buffer { int device; PJRT_Buffer_Type type; int64_t dims[16]; size_t rank, size; char *data; };
struct PJRT_Executable { int64_t id, partitions; size_t args, results; PJRT_Buffer shape[4096]; char donated[65536]; char *text; size_t size; };
struct PJRT_LoadedExecutable { PJRT_Executable *exe; };

// Where the adapter expects things.
#define AT(n, f) _Static_assert(offsetof(PJRT_Api, f) == 40 + 8 * n, #f)
AT(0, PJRT_Error_Destroy);
AT(5, PJRT_Event_Destroy);
AT(8, PJRT_Event_Await);
AT(16, PJRT_Client_AddressableDevices);
AT(20, PJRT_Client_Compile);
AT(22, PJRT_Client_BufferFromHostBuffer);
AT(34, PJRT_Device_MemoryStats);
AT(40, PJRT_Executable_Destroy);
AT(49, PJRT_Executable_Serialize);
AT(51, PJRT_LoadedExecutable_GetExecutable);
AT(55, PJRT_LoadedExecutable_Execute);
AT(56, PJRT_Executable_DeserializeAndLoad);
AT(70, PJRT_Buffer_ToHostBuffer);
_Static_assert(offsetof(PJRT_Client_Compile_Args, program) == 24, "program");
_Static_assert(offsetof(PJRT_LoadedExecutable_Execute_Args, options) == 24, "options");
_Static_assert(offsetof(PJRT_LoadedExecutable_Execute_Args, num_devices) == 40, "num_devices");
_Static_assert(offsetof(PJRT_LoadedExecutable_Execute_Args, device_complete_events) == 64, "device_complete_events");
_Static_assert(offsetof(PJRT_Client_BufferFromHostBuffer_Args, host_buffer_semantics) == 72, "host_buffer_semantics");
_Static_assert(PJRT_HostBufferSemantics_kImmutableOnlyDuringCall == 0, "semantics");
_Static_assert(offsetof(PJRT_Client_AddressableDevices_Args, addressable_devices) == 24, "addressable_devices");
_Static_assert(offsetof(PJRT_Device_MemoryStats_Args, bytes_limit) == 80, "bytes_limit");
_Static_assert(offsetof(PJRT_Event_Await_Args, event) == 16, "event");
_Static_assert(offsetof(PJRT_Buffer_ToHostBuffer_Args, host_layout) == 24, "host_layout");
_Static_assert(offsetof(PJRT_Client_Compile_Args, executable) == 48, "executable");
_Static_assert(offsetof(PJRT_Executable_DeserializeAndLoad_Args, loaded_executable) == 40, "loaded_executable");
_Static_assert(offsetof(PJRT_Executable_Serialize_Args, serialized_executable_deleter) == 48, "deleter");

// LONGER refuses a structure that lacks the fields of a later version.
#define LONGER(a, type) \
  if ((a)->struct_size < type##_STRUCT_SIZE + 32) return fail("Unexpected " #type " size. The plugin is likely built with a later version than the framework."); \
  for (int i = 0; i < 32; i++) \
    if (((char *)(a))[type##_STRUCT_SIZE + i]) return fail("a later field of " #type " is not zero")

static PJRT_Device all[4] = {{0}, {1}, {2}, {3}};
static PJRT_Device *devices[] = {&all[0], &all[1], &all[2], &all[3]};
static size_t count = 1;
static PJRT_DeviceDescription description;
static int64_t visible = -1;
static float share;
static int grow;
static FILE *to, *from;

static PJRT_Error *fail(const char *text) {
  PJRT_Error *e = calloc(1, sizeof *e);
  e->code = PJRT_Error_Code_INVALID_ARGUMENT;
  snprintf(e->text, sizeof e->text, "%s", text);
  return e;
}

static int mode(const char *name) {
  const char *m = getenv("ENTANGLE_STANDIN_MODE");
  return m && !strcmp(m, name);
}

static void put(const void *p, size_t n) { fwrite(p, 1, n, to); }
static void put64(int64_t v) { put(&v, sizeof v); }
static int64_t get64(void) {
  int64_t v = -1;
  return fread(&v, 1, sizeof v, from) == sizeof v ? v : -1;
}

// answer reads the status of a request: 0, or the length of an error's text.
static PJRT_Error *answer(void) {
  fflush(to);
  int64_t n = get64();
  if (n == 0) return NULL;
  PJRT_Error *e = fail("the evaluator is gone");
  if (n > 0 && n < (int64_t)sizeof e->text && fread(e->text, 1, n, from) == (size_t)n) e->text[n] = 0;
  return e;
}

static PJRT_Error *start(void) {
  int down[2], up[2];
  if (pipe(down) || pipe(up)) return fail("pipe");
  pid_t pid = fork();
  if (pid < 0) return fail("fork");
  if (pid == 0) {
    dup2(down[0], 0);
    dup2(up[1], 1);
    for (int i = 3; i < 256; i++) close(i);
    const char *program = getenv("ENTANGLE_STANDIN");
    setenv("ENTANGLE_STANDIN_EVALUATE", "1", 1);
    execl(program, program, (char *)NULL);
    _exit(1);
  }
  close(down[0]);
  close(up[1]);
  signal(SIGPIPE, SIG_IGN);
  to = fdopen(down[1], "wb");
  from = fdopen(up[0], "rb");
  return NULL;
}

static void error_destroy(PJRT_Error_Destroy_Args *a) { free(a->error); }
static void error_message(PJRT_Error_Message_Args *a) { a->message = a->error->text; a->message_size = strlen(a->error->text); }
static PJRT_Error *error_code(PJRT_Error_GetCode_Args *a) { a->code = a->error->code; return NULL; }
static PJRT_Error *event_destroy(PJRT_Event_Destroy_Args *a) {
  if (!a->event) return fail("no event");
  free(a->event);
  return NULL;
}
static PJRT_Error *event_await(PJRT_Event_Await_Args *a) { return a->event ? NULL : fail("no event"); }
static PJRT_Error *initialize(PJRT_Plugin_Initialize_Args *a) { return NULL; }
static PJRT_Error *attributes(PJRT_Plugin_Attributes_Args *a) { a->attributes = NULL; a->num_attributes = 0; return NULL; }

static PJRT_Error *client_create(PJRT_Client_Create_Args *a) {
  LONGER(a, PJRT_Client_Create_Args);
  if (mode("hang")) for (;;) pause();
  if (mode("refuse")) return fail("no CUDA-capable device is detected\nand a second line");
  for (size_t i = 0; i < a->num_options; i++) {
    const PJRT_NamedValue *o = &a->create_options[i];
    if (!strncmp(o->name, "visible_devices", o->name_size)) {
      visible = o->int64_array_value[0];
      count = o->value_size;
    }
    if (!strncmp(o->name, "memory_fraction", o->name_size)) share = o->float_value;
    if (!strncmp(o->name, "preallocate", o->name_size)) grow = !o->bool_value;
  }
  if (!to) {
    PJRT_Error *e = start();
    if (e) return e;
  }
  a->client = calloc(1, sizeof *a->client);
  return NULL;
}
static PJRT_Error *client_destroy(PJRT_Client_Destroy_Args *a) { free(a->client); return NULL; }
static PJRT_Error *platform_name(PJRT_Client_PlatformName_Args *a) { a->platform_name = "standin"; a->platform_name_size = 7; return NULL; }
static PJRT_Error *platform_version(PJRT_Client_PlatformVersion_Args *a) { a->platform_version = "1"; a->platform_version_size = 1; return NULL; }
static PJRT_Error *process_index(PJRT_Client_ProcessIndex_Args *a) { a->process_index = 0; return NULL; }
static PJRT_Error *addressable(PJRT_Client_AddressableDevices_Args *a) { a->addressable_devices = devices; a->num_addressable_devices = mode("none") ? 0 : count; return NULL; }
static PJRT_Error *assignment(PJRT_Client_DefaultDeviceAssignment_Args *a) {
  if (a->default_assignment_size < (size_t)(a->num_replicas * a->num_partitions)) return fail("too little room");
  for (int i = 0; i < a->num_replicas * a->num_partitions; i++) a->default_assignment[i] = i;
  return NULL;
}
static PJRT_Error *hardware(PJRT_Device_LocalHardwareId_Args *a) { a->local_hardware_id = a->device->number; return NULL; }
static PJRT_Error *is_addressable(PJRT_Device_IsAddressable_Args *a) { a->is_addressable = true; return NULL; }
static PJRT_Error *describe(PJRT_Device_GetDescription_Args *a) { a->device_description = &description; return NULL; }
static PJRT_Error *description_process(PJRT_DeviceDescription_ProcessIndex_Args *a) { a->process_index = 0; return NULL; }
static PJRT_Error *debug_string(PJRT_DeviceDescription_DebugString_Args *a) {
  static char text[64];
  snprintf(text, sizeof text, "stand-in for GPU %d, %.2f of its memory, %s", (int)visible, share, grow ? "growing" : "at once");
  a->debug_string = text;
  a->debug_string_size = strlen(text);
  return NULL;
}

// compile sends the text; the answer lists results and, per argument, whether it is donated.
static PJRT_Error *load(const char *text, size_t size, PJRT_LoadedExecutable **out) {
  put64('C');
  put64(size);
  put(text, size);
  PJRT_Error *e = answer();
  if (e) return e;
  PJRT_Executable *x = calloc(1, sizeof *x);
  x->id = get64();
  x->partitions = get64();
  x->args = get64();
  for (size_t i = 0; i < x->args; i++) x->donated[i] = get64();
  x->results = get64();
  for (size_t i = 0; i < x->results; i++) {
    PJRT_Buffer *b = &x->shape[i];
    b->type = get64();
    b->rank = get64();
    for (size_t k = 0; k < b->rank; k++) b->dims[k] = get64();
    b->size = get64();
  }
  x->text = malloc(size);
  x->size = size;
  memcpy(x->text, text, size);
  *out = calloc(1, sizeof **out);
  (*out)->exe = x;
  return NULL;
}
static void note(const char *what) {
  const char *path = getenv("ENTANGLE_STANDIN_LOG");
  FILE *f = path ? fopen(path, "a") : NULL;
  if (!f) return;
  fprintf(f, "%s\n", what);
  fclose(f);
}
static PJRT_Error *compile(PJRT_Client_Compile_Args *a) {
  LONGER(a, PJRT_Client_Compile_Args);
  LONGER(a->program, PJRT_Program);
  if (a->program->format_size != 4 || strncmp(a->program->format, "mlir", 4)) return fail("want a program of format mlir");
  note("compile");
  return load(a->program->code, a->program->code_size, &a->executable);
}
static void no_deleter(PJRT_SerializedExecutable *s) {}
static PJRT_Error *serialize(PJRT_Executable_Serialize_Args *a) {
  LONGER(a, PJRT_Executable_Serialize_Args);
  a->serialized_bytes = a->executable->text;
  a->serialized_bytes_size = a->executable->size;
  a->serialized_executable_deleter = no_deleter;
  return NULL;
}
static PJRT_Error *deserialize(PJRT_Executable_DeserializeAndLoad_Args *a) {
  LONGER(a, PJRT_Executable_DeserializeAndLoad_Args);
  note("load");
  return load(a->serialized_executable, a->serialized_executable_size, &a->loaded_executable);
}
static PJRT_Error *get_executable(PJRT_LoadedExecutable_GetExecutable_Args *a) { a->executable = a->loaded_executable->exe; return NULL; }
static PJRT_Error *loaded_destroy(PJRT_LoadedExecutable_Destroy_Args *a) { return NULL; }
static PJRT_Error *executable_destroy(PJRT_Executable_Destroy_Args *a) { return NULL; }
static PJRT_Error *executable_name(PJRT_Executable_Name_Args *a) { a->executable_name = "standin"; a->executable_name_size = 7; return NULL; }
static PJRT_Error *num_outputs(PJRT_Executable_NumOutputs_Args *a) { a->num_outputs = a->executable->results; return NULL; }
static PJRT_Error *memory_stats(PJRT_Executable_GetCompiledMemoryStats_Args *a) { a->temp_size_in_bytes = 4096; return NULL; }
static PJRT_Error *device_memory(PJRT_Device_MemoryStats_Args *a) {
  LONGER(a, PJRT_Device_MemoryStats_Args);
  if (a->device != devices[0]) return fail("memory: not the first device");
  a->bytes_in_use = 1 << 20;
  a->bytes_limit = 5 << 20;
  a->bytes_limit_is_set = true;
  return NULL;
}

static PJRT_Error *execute(PJRT_LoadedExecutable_Execute_Args *a) {
  LONGER(a, PJRT_LoadedExecutable_Execute_Args);
  LONGER(a->options, PJRT_ExecuteOptions);
  PJRT_Executable *x = a->executable->exe;
  if (a->num_devices != (size_t)x->partitions || a->num_args != x->args) return fail("wrong number of devices or arguments");
  for (size_t d = 0; d < a->num_devices; d++)
    for (size_t i = 0; i < a->num_args; i++) {
      PJRT_Buffer *b = a->argument_lists[d][i], *first = a->argument_lists[0][i];
      if (!b || !b->data) return fail("an argument was deleted or donated");
      if (b->device != (int)d) return fail("an argument lies on another device");
      if (b->size != first->size || memcmp(b->data, first->data, b->size)) return fail("devices have different arguments");
    }
  if (mode("full")) {
    PJRT_Error *e = fail("Out of memory while trying to allocate 64 bytes.");
    e->code = PJRT_Error_Code_RESOURCE_EXHAUSTED;
    return e;
  }
  put64('X');
  put64(x->id);
  for (size_t i = 0; i < a->num_args; i++) {
    PJRT_Buffer *b = a->argument_lists[0][i];
    put64(b->type);
    put64(b->rank);
    for (size_t k = 0; k < b->rank; k++) put64(b->dims[k]);
    put64(b->size);
    put(b->data, b->size);
  }
  PJRT_Error *e = answer();
  if (e) return e;
  for (size_t i = 0; i < x->results; i++) {
    char *data = malloc(x->shape[i].size + 1);
    if (x->shape[i].size && fread(data, 1, x->shape[i].size, from) != x->shape[i].size) return fail("the evaluator is gone");
    for (size_t d = 0; d < a->num_devices; d++) {
      PJRT_Buffer *b = malloc(sizeof *b);
      *b = x->shape[i];
      b->device = d;
      b->data = malloc(b->size + 1);
      memcpy(b->data, data, b->size);
      a->output_lists[d][i] = b;
    }
    free(data);
  }
  for (size_t i = 0; i < a->num_args; i++) {
    int kept = !x->donated[i];
    for (size_t k = 0; k < a->options->num_non_donatable_input_indices; k++) kept |= a->options->non_donatable_input_indices[k] == (int64_t)i;
    for (size_t d = 0; !kept && d < a->num_devices; d++) {
      free(a->argument_lists[d][i]->data);
      a->argument_lists[d][i]->data = NULL;
    }
  }
  if (a->device_complete_events) return fail("a run is waited for");
  return NULL;
}

static PJRT_Error *from_host(PJRT_Client_BufferFromHostBuffer_Args *a) {
  LONGER(a, PJRT_Client_BufferFromHostBuffer_Args);
  size_t elements = 1;
  for (size_t k = 0; k < a->num_dims; k++) elements *= a->dims[k];
  int copied = a->host_buffer_semantics == PJRT_HostBufferSemantics_kImmutableOnlyDuringCall;
  if (copied != (elements <= 1 << 24)) return fail(copied ? "a large upload is staged" : "an upload is waited for");
  size_t width = a->type == PJRT_Buffer_Type_PRED ? 1 : a->type == PJRT_Buffer_Type_F32 ? 4 : a->type == PJRT_Buffer_Type_F64 || a->type == PJRT_Buffer_Type_S64 ? 8 : a->type == PJRT_Buffer_Type_F16 || a->type == PJRT_Buffer_Type_BF16 ? 2 : 0;
  if (!width || a->num_dims > 16) return fail("an element type or rank that no program has");
  PJRT_Buffer *b = calloc(1, sizeof *b);
  b->device = a->device->number;
  b->type = a->type;
  b->rank = a->num_dims;
  b->size = width;
  for (size_t k = 0; k < b->rank; k++) b->size *= b->dims[k] = a->dims[k];
  b->data = malloc(b->size + 1);
  memcpy(b->data, a->data, b->size);
  a->buffer = b;
  a->done_with_host_buffer = calloc(1, sizeof(PJRT_Event));
  return NULL;
}
static PJRT_Error *to_host(PJRT_Buffer_ToHostBuffer_Args *a) {
  LONGER(a, PJRT_Buffer_ToHostBuffer_Args);
  if (!a->src->data) return fail("the buffer was deleted or donated");
  if (!a->dst) { a->dst_size = a->src->size; return NULL; }
  if (a->dst_size < a->src->size) return fail("too little room");
  memcpy(a->dst, a->src->data, a->src->size);
  a->event = calloc(1, sizeof(PJRT_Event));
  return NULL;
}
static PJRT_Error *buffer_destroy(PJRT_Buffer_Destroy_Args *a) { free(a->buffer->data); free(a->buffer); return NULL; }
static PJRT_Error *dimensions(PJRT_Buffer_Dimensions_Args *a) { a->dims = a->buffer->dims; a->num_dims = a->buffer->rank; return NULL; }
static PJRT_Error *element_type(PJRT_Buffer_ElementType_Args *a) { a->type = a->buffer->type; return NULL; }

const PJRT_Api *GetPjrtApi(void) {
  static PJRT_Api api;
  api.struct_size = PJRT_Api_STRUCT_SIZE;
  api.pjrt_api_version.major_version = PJRT_API_MAJOR;
  api.pjrt_api_version.minor_version = PJRT_API_MINOR;
  api.PJRT_Error_Destroy = error_destroy;
  api.PJRT_Error_Message = error_message;
  api.PJRT_Error_GetCode = error_code;
  api.PJRT_Event_Destroy = event_destroy;
  api.PJRT_Event_Await = event_await;
  api.PJRT_Plugin_Initialize = initialize;
  api.PJRT_Plugin_Attributes = attributes;
  api.PJRT_Client_Create = client_create;
  api.PJRT_Client_Destroy = client_destroy;
  api.PJRT_Client_PlatformName = platform_name;
  api.PJRT_Client_PlatformVersion = platform_version;
  api.PJRT_Client_ProcessIndex = process_index;
  api.PJRT_Client_AddressableDevices = addressable;
  api.PJRT_Client_DefaultDeviceAssignment = assignment;
  api.PJRT_Device_MemoryStats = device_memory;
  api.PJRT_Device_LocalHardwareId = hardware;
  api.PJRT_Device_IsAddressable = is_addressable;
  api.PJRT_Device_GetDescription = describe;
  api.PJRT_DeviceDescription_ProcessIndex = description_process;
  api.PJRT_DeviceDescription_DebugString = debug_string;
  api.PJRT_Client_Compile = compile;
  api.PJRT_LoadedExecutable_GetExecutable = get_executable;
  api.PJRT_LoadedExecutable_Destroy = loaded_destroy;
  api.PJRT_LoadedExecutable_Execute = execute;
  api.PJRT_Executable_Destroy = executable_destroy;
  api.PJRT_Executable_Name = executable_name;
  api.PJRT_Executable_Serialize = serialize;
  api.PJRT_Executable_DeserializeAndLoad = deserialize;
  api.PJRT_Executable_NumOutputs = num_outputs;
  api.PJRT_Executable_GetCompiledMemoryStats = memory_stats;
  api.PJRT_Client_BufferFromHostBuffer = from_host;
  api.PJRT_Buffer_ToHostBuffer = to_host;
  api.PJRT_Buffer_Destroy = buffer_destroy;
  api.PJRT_Buffer_Dimensions = dimensions;
  api.PJRT_Buffer_ElementType = element_type;
  return &api;
}
