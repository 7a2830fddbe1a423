/** A range of the region, in bytes from its base. */
export interface Section { readonly offset: number; readonly bytes: number }
/** A little-endian word, or a row of them, relative to its part. */
export interface Word {
  readonly part: "switchboard" | "superblock" | "sleepers" | "cursors" | "participant";
  readonly offset: number;
  readonly bytes: number;
  readonly count: number;
  readonly stride: number;
}
declare const layout: {
  readonly format: 1;
  readonly mode: 1;
  readonly regionBytes: 50331648;
  readonly ringBytes: 524288;
  readonly maxInlineBytes: 65536;
  readonly frameHeaderBytes: 8;
  readonly granuleBytes: 256;
  readonly chunkBytes: 65536;
  readonly chunkCount: 461;
  readonly slotCount: 15;
  readonly participantCount: 16;
  readonly participantBytes: 512;
  readonly hash: "b0e0f374639a7d7a";
  readonly sections: {
    readonly reserved: Section;
    readonly switchboard: Section;
    readonly superblock: Section;
    readonly sleepers: Section;
    readonly inboxCursors: Section;
    readonly outboxCursors: Section;
    readonly overflowManifests: Section;
    readonly participants: Section;
    readonly lanes: Section;
    readonly arenaRoot: Section;
    readonly cacheRoot: Section;
    readonly metrics: Section;
    readonly unassigned: Section;
    readonly inbox: Section;
    readonly outbox: Section;
    readonly arena: Section;
  };
  readonly words: {
    /** KernelEvent, ModuleEvent, HostEvent: epochs, compared with != */
    readonly events: Word;
    /** 0 initial, 1 ready, anything else poisoned */
    readonly state: Word;
    /** handle of the published block, 0 when empty */
    readonly slotHandle: Word;
    /** each publish adds 1 */
    readonly slotEpoch: Word;
    /** participant + 1 of the only publisher, 0 for none */
    readonly slotOwner: Word;
    /** the bytes INOS-SAB */
    readonly magic: Word;
    /** version of the format: 1 */
    readonly format: Word;
    /** XXH3 of the table of sections */
    readonly layoutHash: Word;
    /** bytes from the base to the end */
    readonly regionBytes: Word;
    /** asleep on KernelEvent, ModuleEvent, HostEvent, and on any slot's epoch */
    readonly sleepers: Word;
    /** producer's cursor: frames published in the high half, units of 8 bytes in the low */
    readonly tail: Word;
    /** consumer's cursor: frames and units consumed */
    readonly head: Word;
    /** changes when a sleeping consumer is called */
    readonly dataWord: Word;
    /** consumers asleep; bit 31: wakers are asked to fence */
    readonly dataSleepers: Word;
    /** changes when a sleeping producer is called */
    readonly roomWord: Word;
    /** producers asleep */
    readonly roomSleepers: Word;
    /** warn at this backlog */
    readonly highBytes: Word;
    /** at ease at this backlog */
    readonly lowBytes: Word;
    /** warn at this many frames */
    readonly highCount: Word;
    /** at ease at this many frames */
    readonly lowCount: Word;
    /** 0 never held, 1 left, 0x100 | participant held */
    readonly producerRole: Word;
    /** as producerRole */
    readonly consumerRole: Word;
    /** 1 while the producer is warned */
    readonly warned: Word;
    /** 1: one ring */
    readonly mode: Word;
    /** 0 free, 1 joined */
    readonly participantState: Word;
    /** number of its process */
    readonly participantPid: Word;
    /** each joining adds 1 */
    readonly participantIncarnation: Word;
    /** changes while the participant makes progress */
    readonly participantHeartbeat: Word;
    /** id + 1 of the request being executed, 0 for none */
    readonly participantJob: Word;
  };
};
export default layout;
