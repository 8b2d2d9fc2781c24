-- What is asked of a buffer is answered out of an index alone, be the buffer as long as it may.
CREATE INDEX held_by_process ON held (source, process, place, key);
DROP INDEX held_heads;
CREATE INDEX held_heads ON held (source, place, key, is_head) WHERE is_head;
