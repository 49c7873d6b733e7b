// A plugin for qemu-user 7.2 to 8 that counts the instructions between two markers: `hint #96` starts a count, `hint #97`
// ends it and writes a line. Both are no-operations to a processor. Counting is by block, so a count is off by the few
// instructions of the blocks that hold the markers. The interface is declared here, since Debian ships no header for it.
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*tb_translate_fn)(qemu_plugin_id_t, struct qemu_plugin_tb*);
typedef void (*exec_fn)(unsigned, void*);
enum { kNoRegisters = 0, kAddU64 = 0 };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb*, size_t);
const void* qemu_plugin_insn_data(const struct qemu_plugin_insn*);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, tb_translate_fn);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb*, int op, void* counter, uint64_t amount);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn*, exec_fn, int flags, void* data);
void qemu_plugin_outs(const char*);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t executed, start;

static void on_begin(unsigned cpu, void* data) {
  (void)cpu, (void)data;
  start = executed;
}

static void on_end(unsigned cpu, void* data) {
  (void)cpu, (void)data;
  char line[32];
  snprintf(line, sizeof line, "%llu\n", (unsigned long long)(executed - start));
  qemu_plugin_outs(line);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
  (void)id;
  const size_t count = qemu_plugin_tb_n_insns(block);
  qemu_plugin_register_vcpu_tb_exec_inline(block, kAddU64, &executed, count);
  for (size_t i = 0; i < count; ++i) {
    struct qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
    uint32_t word;
    memcpy(&word, qemu_plugin_insn_data(instruction), sizeof word);
    if (word == 0xd503201fu + (96u << 5)) qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_begin, kNoRegisters, NULL);
    if (word == 0xd503201fu + (97u << 5)) qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_end, kNoRegisters, NULL);
  }
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int argc,
                                                               char** argv) {
  (void)info, (void)argc, (void)argv;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
  return 0;
}
