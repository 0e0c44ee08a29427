/** SWIM membership. @module */
export {};
