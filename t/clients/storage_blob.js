// SPDX-License-Identifier: Apache-2.0
// @azure/storage-blob, unmodified, against the endpoint it is given: with the account key, and reading with a SAS. Prints a
// line for each step; any failure ends it with 1. Usage: storage_blob.js ENDPOINT ACCOUNT KEY CONTAINER
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const {
    BlobServiceClient, ContainerClient, StorageSharedKeyCredential, generateBlobSASQueryParameters, ContainerSASPermissions,
} = require('@azure/storage-blob');

const [endpoint, account, key, name] = process.argv.slice(2);
const credential = new StorageSharedKeyCredential(account, key);
const MIB = 1 << 20;

async function collect(stream) {
    const pieces = [];
    for await (const piece of stream) pieces.push(piece);
    return Buffer.concat(pieces);
}

async function step(what, run) {
    await run();
    console.log(`${what}: ok`);
}

async function readAll(container, blobs) {
    for (const [blobName, bytes] of blobs) {
        const blob = container.getBlobClient(blobName);
        await step(`${blobName}: whole`, async () => {
            assert.ok(bytes.equals(await collect((await blob.download()).readableStreamBody)));
        });
        if (bytes.length === 0) continue;
        await step(`${blobName}: ranges`, async () => {
            for (let i = 0; i < 8; i++) {
                const from = crypto.randomInt(bytes.length);
                const count = 1 + crypto.randomInt(Math.min(2 * MIB, bytes.length - from));
                const got = await collect((await blob.download(from, count)).readableStreamBody);
                assert.ok(bytes.subarray(from, from + count).equals(got));
            }
        });
        await step(`${blobName}: in parallel`, async () => {
            assert.ok(bytes.equals(await blob.downloadToBuffer(0, undefined, { blockSize: MIB, concurrency: 4 })));
        });
        await step(`${blobName}: properties`, async () => {
            const properties = await blob.getProperties();
            assert.strictEqual(properties.contentLength, bytes.length);
            assert.strictEqual(properties.contentType, 'application/x-test');
            assert.strictEqual(properties.metadata.owner, 'js');
        });
    }
}

async function main() {
    const container = new BlobServiceClient(endpoint, credential).getContainerClient(name);
    const blobs = [['empty', Buffer.alloc(0)], ['small', crypto.randomBytes(1000)], ['dir/large', crypto.randomBytes(9 * MIB + 7)]];
    await step('create container', () => container.create());
    for (const [blobName, bytes] of blobs) {
        await step(`upload ${blobName}`, () => container.getBlockBlobClient(blobName).uploadData(bytes, {
            blockSize: 4 * MIB, maxSingleShotSize: 4 * MIB, concurrency: 2,
            blobHTTPHeaders: { blobContentType: 'application/x-test' }, metadata: { owner: 'js' },
        }));
    }
    await step('list', async () => {
        const names = [];
        for await (const item of container.listBlobsFlat()) names.push(item.name);
        assert.deepStrictEqual(names.sort(), blobs.map(([blobName]) => blobName).sort());
    });
    await readAll(container, blobs);
    const sas = generateBlobSASQueryParameters({
        containerName: name, permissions: ContainerSASPermissions.parse('rl'), expiresOn: new Date(Date.now() + 3600e3),
    }, credential);
    const shared = new ContainerClient(`${endpoint}/${name}?${sas}`);
    for (let round = 0; round < 2; round++) await readAll(shared, blobs);
    await step('overwrite, then read', async () => {
        const bytes = crypto.randomBytes(2000);
        await container.getBlockBlobClient('small').uploadData(bytes);
        assert.ok(bytes.equals(await collect((await shared.getBlobClient('small').download()).readableStreamBody)));
    });
    await step('a condition that does not hold', async () => {
        await assert.rejects(shared.getBlobClient('small').download(0, undefined, { conditions: { ifMatch: '"0x1"' } }),
            (error) => error.statusCode === 412);
    });
    await step('delete', async () => {
        for (const [blobName] of blobs) await container.deleteBlob(blobName);
        await assert.rejects(shared.getBlobClient('small').download(), (error) => error.statusCode === 404 && error.code === 'BlobNotFound');
        await container.delete();
    });
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
